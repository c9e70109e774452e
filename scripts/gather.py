"""One table of all scores of the study."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.study import load_study
from radscale_lib.tasks.gather import gather


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument(
        "--scores", type=Path, nargs="*", required=True, help="scores.parquet of tasks and runs"
    )
    parser.add_argument("--out", type=Path, required=True, help="the table")
    args = parser.parse_args(argv)
    gather(load_study(args.study), args.scores, args.out)


if __name__ == "__main__":
    main()
