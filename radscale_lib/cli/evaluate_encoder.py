"""Evaluate any encoder by a study's tasks, on the archives that the study ingested."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import InputError, study_of
from radscale_lib.shards.errors import ShardError
from radscale_lib.texts import plain


def main(argv: Sequence[str] | None = None) -> None:
    """Write scores and predictions, and print the means over labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", metavar="SPEC", help="encoder, as `radscale embed` takes it")
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--name", default="own", help="name of the encoder in the tables (default: own)"
    )
    parser.add_argument(
        "--task", action="append", help="task of the study; may be repeated (default: all)"
    )
    parser.add_argument(
        "--archive",
        nargs="*",
        metavar="NAME",
        help="test archives of the study (default: all); none if empty",
    )
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="(default: all cores)"
    )
    args = parser.parse_args(argv)
    study = study_of(args)

    from radscale_lib.tasks.own_encoder import evaluate_encoder

    try:
        found = evaluate_encoder(
            study, args.spec, args.out, args.name, args.task, args.threads, args.archive
        )
    except (InputError, ShardError, OSError) as error:
        print(f"radscale evaluate-encoder: {plain(str(error))}", file=sys.stderr)
        sys.exit(1)
    for archive, scores in found.items():
        if len(found) > 1:
            print(f"{archive}:")
        for row in scores.filter(target="macro").iter_rows(named=True):
            ends = [row[key] for key in ("value", "lower", "upper")]
            said = ["unknown" if end is None else f"{end:.3f}" for end in ends]
            what = f"{row['task']} ({row['head']}): {row['metric']}"
            print(f"{what} {said[0]} ({said[1]} to {said[2]})")
