"""Scores of a run's predictions, without its encoder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study import Run
from radscale_lib.tasks.runs import SCORES, TABLE, UnknownRunError, check_run, tables_elsewhere
from radscale_lib.tasks.scoring import score_run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--arm", required=True, help="arm or baseline of the run")
    parser.add_argument("--size", type=int, required=True, help="images of the run's subset")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument(
        "--tasks",
        type=Path,
        required=True,
        help="folder with <task>/<run>/predictions.parquet, which gets scores.parquet beside each",
    )
    parser.add_argument(
        "--test-archives",
        type=Path,
        help="folder with <archive>/tasks/<task>/<run>/predictions.parquet, which gets scores too",
    )
    parser.add_argument("--task", action="append", help="of the study; may be repeated (all)")
    args = parser.parse_args(argv)
    run = Run(args.arm, args.size, args.seed)
    study = study_of(args)
    tasks = args.task or list(study.evaluation.tasks)
    try:
        check_run(study, run, tasks)
    except UnknownRunError as error:
        parser.exit(1, f"{error}\n")
    tables = {task: args.tasks / task / run.path / TABLE for task in tasks}
    archives = study.test_archives if args.test_archives else ()
    abroad = tables_elsewhere(study, run, args.test_archives, archives, tasks, TABLE)
    reads = [*tables.values(), *(path for theirs in abroad.values() for path in theirs.values())]
    makes = [path.with_name(SCORES) for path in reads]
    with step(args, study, "score", reads, makes, arm=args.arm):
        encoder = study.encoder_of(run.arm)
        score_run(study, run, encoder, tables)
        for archive, theirs in abroad.items():
            print(f"{archive}:", file=sys.stderr)
            score_run(study.seen_from(archive), run, encoder, theirs)
