"""Command-line options for the parts that sources read."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from radscale_lib.study.labels import READERS


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Add an option for the parts of each source that reads reports."""
    for source in READERS:
        parser.add_argument(
            f"--{source}", type=Path, nargs="+", default=[], help=f"parts of what {source} read"
        )


def parts_of(args: argparse.Namespace) -> Mapping[str, Sequence[Path]]:
    """The parts that were named, by source."""
    return {source: getattr(args, source) for source in READERS if getattr(args, source)}
