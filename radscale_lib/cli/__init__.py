"""Command lines: `radscale COMMAND`, and what the scripts of the same names run."""

from argparse import ArgumentTypeError
from pathlib import Path


def folder(text: str) -> Path:
    """A folder to write, as an argument: an empty one, as of an unset variable, is refused."""
    if not text.strip():
        raise ArgumentTypeError("is empty: name a folder")
    return Path(text)
