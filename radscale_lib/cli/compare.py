"""Differences between all encoders of a study, on each task, label and metric."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import add_archive, add_options, step_at, study_of
from radscale_lib.tasks.differences import difference_table
from radscale_lib.tasks.draws import FILE, read_scores


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--scores", type=Path, required=True, help="scores table, with draws.parquet beside it"
    )
    parser.add_argument("--out", type=Path, required=True, help="differences table (written)")
    add_archive(parser)
    args = parser.parse_args(argv)
    study = study_of(args)
    order = [*study.arms, *study.evaluated_only, *study.floors]
    with step_at(args, study, "compare", [args.scores, args.scores.with_name(FILE)], [args.out]):
        table = difference_table(read_scores(args.scores), order)
        with atomic_write(args.out) as partial:
            table.write_parquet(partial)
