"""Choose the test images that the report shows for a task: films with masks, or reports."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.examples import films, texts
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study.tasks.segmentation import Segmentation


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--task", required=True, help="a segmentation or generation task")
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True,
        help="masks.parquet or examples.parquet of the runs",
    )  # fmt: skip
    parser.add_argument("--catalog", type=Path, required=True, help="catalog of the archive")
    parser.add_argument("--shards", type=Path, required=True, help="folder of its shards")
    parser.add_argument("--ranges", type=Path, help="index of the shards (index_shards.py)")
    parser.add_argument("--out", type=Path, required=True, help="table of examples (written)")
    args = parser.parse_args(argv)
    study = study_of(args)
    reads = [args.catalog, args.ranges, *args.tables]
    with step(args, study, "examples", reads, [args.out], task=args.task):
        tables = [pl.read_parquet(path) for path in args.tables]
        if isinstance(study.evaluation.tasks[args.task], Segmentation):
            reader = ShardReader(args.shards, args.ranges)
            chosen = films(study, args.task, tables, pl.read_parquet(args.catalog), reader)
        else:
            chosen = texts(study, args.task, tables)
        with atomic_write(args.out) as partial:
            chosen.write_parquet(partial)
