"""Score a run's predictions, without its encoder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study import Run
from radscale_lib.tasks.runs import (
    TABLE,
    UnknownRunError,
    check_run,
    scored_files,
    tables_elsewhere,
)
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
        help="folder with <task>/<run>/predictions.parquet, which gets the tables of scores",
    )
    parser.add_argument(
        "--test-archives",
        type=Path,
        help="folder with <archive>/tasks/<task>/<run>/predictions.parquet, which gets scores too",
    )
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    parser.add_argument(
        "--test-archive",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "CATALOG"),
        help="a test archive of the study, and its catalog.parquet",
    )
    parser.add_argument(
        "--encoder", type=Path, help="encoder with which the predictions must have been made"
    )
    parser.add_argument(
        "--task", action="append", help="task of the study; may be repeated (default: all)"
    )
    args = parser.parse_args(argv)
    run = Run(args.arm, args.size, args.seed)
    study = study_of(args)
    tasks = args.task or list(study.evaluation.tasks)
    try:
        check_run(study, run, tasks)
    except UnknownRunError as error:
        parser.exit(1, f"{error}\n")
    tables = {task: args.tasks / task / run.path / TABLE for task in tasks}
    catalogs = {name: Path(catalog) for name, catalog in args.test_archive}
    if catalogs and not args.test_archives:
        parser.error("--test-archive needs --test-archives, the folder of what is scored")
    abroad = tables_elsewhere(study, run, args.test_archives, catalogs, tasks, TABLE)
    everywhere = [*tables.items(), *(each for theirs in abroad.values() for each in theirs.items())]
    makes = [
        path.with_name(name) for task, path in everywhere for name in scored_files(study, task)
    ]
    folders = [
        folder for task in tasks for _, folder in study.evaluation.tasks[task].scoring_folders()
    ]
    reads = [*(path for _, path in everywhere), args.catalog, *catalogs.values()]
    reads += [args.encoder, *folders]
    with step(args, study, "score", reads, makes, arm=args.arm):
        encoder = study.encoder_of(run.arm)
        score_run(study, run, encoder, tables, args.catalog, args.encoder)
        for archive, theirs in abroad.items():
            print(f"{archive}:", file=sys.stderr)
            seen = study.seen_from(archive)
            score_run(seen, run, encoder, theirs, catalogs[archive], args.encoder)
