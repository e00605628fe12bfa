"""Thin callbacks that record a training of another library. Each module imports the library it is for."""
