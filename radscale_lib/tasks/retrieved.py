"""What predictions of retrieval hold."""

DIRECTIONS = ("image-to-report", "report-to-image")
"""Targets of the scores; `macro` is the mean of both."""
RANKS = tuple(f"rank:{direction}" for direction in DIRECTIONS)
"""Columns: wrong answers that are as near as the nearest right one, or nearer."""
