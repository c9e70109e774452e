"""The columns and targets of retrieval predictions."""

DIRECTIONS = ("image-to-report", "report-to-image")
"""Targets of the scores; `macro` is the mean of both."""
RANKS = tuple(f"rank:{direction}" for direction in DIRECTIONS)
"""Columns: number of wrong answers at least as near as the nearest right one."""
