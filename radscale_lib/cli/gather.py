"""One table of all scores of the study."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.tasks.draws import FILE
from radscale_lib.tasks.gather import TOGETHER, gather, gather_elsewhere, scores_elsewhere


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
        "--checkpoints", type=Path, help="that of encoders kept on the way (written)"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="*",
        default=[],
        help="predictions.parquet of the task that checkpoints are chosen by",
    )
    parser.add_argument(
        "--test-archives",
        type=Path,
        help="folder with <archive>/tasks/<task>/<run>/scores.parquet of each test archive",
    )
    parser.add_argument("--test-out", type=Path, help="the table of their scores (written)")
    args = parser.parse_args(argv)
    study = study_of(args)
    elsewhere = scores_elsewhere(study, args.test_archives) if args.test_out else []
    beside = [f"{name}.parquet" for name in ("draws", *TOGETHER)]
    makes = [args.out, *map(args.out.with_name, beside)]
    makes += [path for path in (args.checkpoints, args.test_out) if path]
    others = (path.with_name(name) for path in args.scores for name in beside)
    reads = [*args.scores, *filter(Path.exists, others), *args.predictions]
    reads += [path.with_name(name) for _, path in elsewhere for name in (path.name, FILE)]
    with step(args, study, "gather", reads, makes):
        gather(study, args.scores, args.out, args.checkpoints, args.predictions)
        if args.test_out:
            gather_elsewhere(study, elsewhere, args.test_out)
