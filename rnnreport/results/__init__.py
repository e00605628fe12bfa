"""The run folder: what one stage leaves on disk for the next one. NumPy and the standard library only."""
