"""Command lines: `radscale COMMAND`, and the scripts of the same names."""

from argparse import ArgumentTypeError
from pathlib import Path


def folder(text: str) -> Path:
    """Argument type of a folder to write; empty text, as from an unset variable, is refused."""
    if not text.strip():
        raise ArgumentTypeError("is empty: name a folder")
    return Path(text)
