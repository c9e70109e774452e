"""Fit scaling laws: to the scores of a study, or to the curves of any table.

The table has columns `curve, size, value, se` (errors, lower is better; `se` may be empty). Rows
without a value are predicted; a column `target`, or --target, asks for the size that reaches it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.exports import write_csv
from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import add_archive, add_options, step_at, study_of
from radscale_lib.scaling.curves import answer_all, draws_table, predictions_table, read_curves
from radscale_lib.scaling.diagnostics import METHOD
from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.joint import joint_table
from radscale_lib.scaling.least_squares import FORMS
from radscale_lib.scaling.tables import Tables, fit_study
from radscale_lib.tasks.draws import FILE, read_scores

FEW = 30
"""Up to this number of curves, each fit is checked by fitting parts of its runs."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage, or fit a table of curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    study = parser.add_argument_group("a study")
    add_options(study, required=False)
    study.add_argument("--scores", type=Path, help="scores table (read)")
    study.add_argument("--fits", type=Path, help="fits table (written)")
    study.add_argument("--crossovers", type=Path, help="crossovers table (written)")
    study.add_argument("--comparisons", type=Path, help="comparisons of arms (written)")
    study.add_argument("--label-fits", type=Path, help="curves of single labels (written)")
    study.add_argument("--verdicts", type=Path, help="what holds over the study (written)")
    study.add_argument("--checkpoints", type=Path, help="scores along the budget (read)")
    study.add_argument("--joint", type=Path, help="joint laws in data and compute (written)")
    add_archive(study)
    table = parser.add_argument_group("a table of curves")
    table.add_argument("--curves", type=Path, help="CSV of curves (read)")
    table.add_argument("--predict", type=Path, help="CSV of predictions (written)")
    table.add_argument("--draws", type=Path, help="Parquet of 1,000 draws per row (written)")
    table.add_argument(
        "--target", type=float, help="error level for which to find the size that reaches it"
    )
    table.add_argument(
        "--form",
        choices=FORMS,
        help="one law of this form by least squares, without intervals (default: the average)",
    )
    table.add_argument("--check", action="store_true", help="check each fit of a large table too")
    table.add_argument("--jobs", type=int, help="processes (default: one per core)")
    args = parser.parse_args(argv)
    if args.curves and args.predict:
        _fit_curves(args)
    elif (
        args.study
        and args.scores
        and all(paths := [getattr(args, name) for name in Tables._fields])
    ):
        of = study_of(args)
        draws = [path for path in [args.scores.with_name(FILE)] if path.exists()]
        joint = [args.joint] if args.joint and args.checkpoints else []
        reads = [args.scores, *draws, args.checkpoints]
        with step_at(args, of, "fit", reads, [*paths, *joint]) as seen:
            tables = [*fit_study(seen, read_scores(args.scores))]
            tables += [joint_table(seen, pl.read_parquet(args.checkpoints)) for _ in joint]
            for frame, path in zip(tables, [*paths, *joint], strict=True):
                with atomic_write(path) as partial:
                    frame.write_parquet(partial)
    else:
        parser.error("give --curves and --predict, or all of a study's options")


def _fit_curves(args: argparse.Namespace) -> None:
    try:
        curves = read_curves(args.curves, args.target)
    except (ScalingError, OSError) as error:
        sys.exit(f"fit: {error}")
    targets = any(goal is not None for one in curves for _, goal in one.questions)
    if args.form and (targets or args.draws):
        sys.exit("fit: one law has no draws and no crossovers: leave out --form, or those")
    answers = answer_all(curves, args.jobs, args.check or len(curves) <= FEW, args.form)
    predictions = predictions_table(answers)
    with atomic_write(args.predict) as partial:
        write_csv(predictions, partial)
    if args.draws:
        with atomic_write(args.draws) as partial:
            draws_table(answers).write_parquet(partial)
    print(*([] if args.form else METHOD), sep="\n")
    for curve, found in zip(curves, answers, strict=True):
        print(f"\n{curve.name}", *found.report, sep="\n  ")
        if found.refused:
            print(f"{curve.name}: {found.report[0]}", file=sys.stderr)
    if all(found.refused for found in answers):
        sys.exit("fit: no curve could be fitted")
