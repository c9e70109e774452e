"""Index the byte range of every image in an archive's shards, and verify the shards."""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.shards.errors import ShardError
from radscale_lib.shards.ranges import write_ranges


def main(argv: list[str] | None = None) -> None:
    """Write the index; fail if a shard is missing or damaged."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, required=False)
    parser.add_argument("--folder", required=True, help="folder or address of the shards")
    parser.add_argument("--shards", nargs="+", required=True, help="their file names")
    parser.add_argument("--out", type=Path, required=True, help="index to write (Arrow)")
    parser.add_argument("--threads", type=int, default=1, help="shards read at once (default: 1)")
    args = parser.parse_args(argv)
    large = [Path(args.folder, name) for name in args.shards] if args.study else []
    made = (
        step(args, study_of(args), "ranges", [], [args.out], large=large)
        if args.study
        else nullcontext()
    )
    with made:
        try:
            entries = write_ranges(args.folder, args.shards, args.out, args.threads)
        except ShardError as error:
            parser.exit(1, f"{error}\n")
    for entry in entries:
        if entry.refused:
            print(f"{entry.name} is read by row group: {entry.refused}", file=sys.stderr)
