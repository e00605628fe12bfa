"""Thin callbacks and helpers for other libraries: training loops, experiment trackers, notebooks.

Each module or function imports the library it is for, and nothing else in rnnreport knows of it.
"""
