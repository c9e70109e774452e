"""One table of all scores of the study."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.tasks.gather import gather


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--scores", type=Path, nargs="*", required=True, help="scores.parquet of tasks and runs"
    )
    parser.add_argument("--out", type=Path, required=True, help="the table")
    args = parser.parse_args(argv)
    study = study_of(args)
    with step(args, study, "gather", args.scores, [args.out]):
        gather(study, args.scores, args.out)
