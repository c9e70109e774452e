"""Gather all scores of the study, or those on a test archive, in one table."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_archive, add_options, step_at, study_of
from radscale_lib.tasks.gather import TOGETHER, gather


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--scores", type=Path, nargs="*", required=True, help="scores.parquet of tasks and runs"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the table; others are put beside it"
    )
    parser.add_argument(
        "--checkpoints", type=Path, help="scores of encoders kept on the way (written)"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="*",
        default=[],
        help="predictions.parquet of the task by which checkpoints are chosen",
    )
    add_archive(parser)
    args = parser.parse_args(argv)
    study = study_of(args)
    beside = [f"{name}.parquet" for name in ("draws", *TOGETHER)]
    makes = [args.out, *map(args.out.with_name, beside)]
    makes += [args.checkpoints] if args.checkpoints else []
    others = (path.with_name(name) for path in args.scores for name in beside)
    reads = [*args.scores, *filter(Path.exists, others), *args.predictions]
    with step_at(args, study, "gather", reads, makes) as seen:
        gather(seen, args.scores, args.out, args.checkpoints, args.predictions)
        for name in study.evaluation.tasks:
            if name not in seen.evaluation.tasks:
                print(f"{args.archive}: nothing to score {name} by", file=sys.stderr)
