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
    parser.add_argument(
        "--checkpoints", type=Path, help="that of encoders kept on the way (written)"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="*",
        default=[],
        help="predictions.parquet of the task that checkpoints are chosen by",
    )
    args = parser.parse_args(argv)
    study = study_of(args)
    makes = [args.out, *([args.checkpoints] if args.checkpoints else [])]
    with step(args, study, "gather", [*args.scores, *args.predictions], makes):
        gather(study, args.scores, args.out, args.checkpoints, args.predictions)
