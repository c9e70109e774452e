"""Compute the features of a run and the predictions of its tasks; kept parts are reused."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study import Run
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.features import FILES
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.runs import TABLE, UnknownRunError, check_run, tables_elsewhere


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--arm", required=True, help="arm or baseline of the run")
    parser.add_argument("--size", type=int, required=True, help="images of the run's subset")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    parser.add_argument("--shards", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--ranges", type=Path, help="index of the shards (index_shards.py)")
    parser.add_argument(
        "--labels", type=Path, help="folder of the labels' tables, if they have any"
    )
    parser.add_argument("--features", type=Path, required=True, help="folder of the features")
    parser.add_argument(
        "--tasks",
        type=Path,
        required=True,
        help="folder that gets <task>/<run>/predictions.parquet",
    )
    parser.add_argument(
        "--task", action="append", help="task of the study; may be repeated (default: all)"
    )
    parser.add_argument(
        "--test-archive",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "FOLDER", "RANGES"),
        help="a test archive of the study, the folder of its catalog and shards, and their index",
    )
    parser.add_argument(
        "--test-archives",
        type=Path,
        help="folder that gets <archive>/features/<run> and <archive>/tasks/<task>/<run>",
    )
    parser.add_argument("--work", type=Path, help="folder that keeps the parts (default: none)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    run = Run(args.arm, args.size, args.seed)
    study = study_of(args)
    archives = {name: (Path(folder), Path(index)) for name, folder, index in args.test_archive}
    if archives and not args.test_archives:
        parser.error("--test-archive needs --test-archives, the folder of what is made")
    elsewhere = {
        name: Inputs(
            args.encoder,
            args.test_archives / name / "features" / run.path,
            folder / "catalog.parquet",
            folder / "shards",
            ranges,
        )
        for name, (folder, ranges) in archives.items()
    }
    inputs = Inputs(
        args.encoder,
        args.features,
        args.catalog,
        args.shards,
        args.ranges,
        args.labels,
        elsewhere,
    )
    tasks = args.task or list(study.evaluation.tasks)
    try:
        check_run(study, run, tasks)
    except UnknownRunError as error:
        parser.exit(1, f"{error}\n")
    tables = {task: args.tasks / task / run.path / TABLE for task in tasks}
    abroad = tables_elsewhere(study, run, args.test_archives, archives, tasks, TABLE)
    makes = [
        *(each.features / name for each in (inputs, *elsewhere.values()) for name in FILES),
        *tables.values(),
        *(path for theirs in abroad.values() for path in theirs.values()),
    ]
    with step(args, study, "evaluate", inputs.files(study, tasks), makes, arm=args.arm):
        evaluate_run(study, run, inputs, tables, args.threads, args.work, abroad)
