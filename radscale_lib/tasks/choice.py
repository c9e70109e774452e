"""Describe what was chosen on validation, for the table of scores."""

from collections.abc import Sequence


def chosen(name: str, value: float, tried: Sequence[float]) -> str:
    """`<name> <value>`, with a warning if it is at the edge of two or more values tried."""
    edge = len(tried) > 1 and value in (min(tried), max(tried))
    return f"{name} {value:g}{' (at the edge of what was tried)' if edge else ''}"
