"""The finding of a check."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A finding, as `key: value, what is wrong, and the remedy`."""

    text: str
    stops: bool = True
    """Whether a run refuses to start; otherwise it is a note."""
