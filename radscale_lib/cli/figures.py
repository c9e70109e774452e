"""Draw the figures of a study, and write the tables they plot."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.figures import Tables
from radscale_lib.report.figures.training import read_logs
from radscale_lib.report.finished import tables_elsewhere, together
from radscale_lib.study import StudyError
from radscale_lib.tasks.draws import FILE, read_scores

TABLES = ("scores", "fits", "crossovers", "comparisons", "verdicts")
REDRAWN = """\
redraw figures of a finished study from its tables alone:
  radscale figures --results results/demo --only forest --width 85 --out talk
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage, or redraw figures of a finished study."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=REDRAWN, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, required=False)
    for name in TABLES:
        parser.add_argument(f"--{name}", type=Path, help=f"{name} table")
    parser.add_argument(
        "--similarity", type=Path, nargs="*", default=[], help="similarity maps, one file per arm"
    )
    parser.add_argument("--subsets", type=Path, help="card of the subsets")
    parser.add_argument("--checkpoints", type=Path, help="scores along the budget")
    parser.add_argument(
        "--logs", type=Path, nargs="*", default=[], help="logs, in <arm>/n=N/seed=S/ folders"
    )
    parser.add_argument(
        "--test-archives", type=Path, help="folder with <archive>/{scores,fits,…}.parquet"
    )
    parser.add_argument(
        "--examples", type=Path, nargs="*", default=[], help="films with masks, one file per task"
    )
    parser.add_argument(
        "--tips", type=Path, nargs="*", default=[], help="tips found, one file per arm"
    )
    parser.add_argument("--reliability", type=Path, help="bins of predicted probability")
    parser.add_argument("--label-fits", type=Path, help="curves of single labels")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder that gets figures/ and tables/"
    )
    redraw = parser.add_argument_group("redrawing")
    redraw.add_argument("--results", type=Path, help="folder of a finished study")
    redraw.add_argument("--only", nargs="+", help="names of the figures, such as forest")
    redraw.add_argument("--width", type=float, help="width of every figure, mm")
    redraw.add_argument("--arms", nargs="+", help="arms to show; all others are left out")
    redraw.add_argument("--style", type=Path, help="matplotlib style file, over the house style")
    args = parser.parse_args(argv)
    if args.results:
        _redraw(args)
        return
    judged = [getattr(args, name) for name in TABLES]
    if args.study is None or None in judged:
        parser.error("give --results, or --study and all tables")
    study = study_of(args)
    further = [args.subsets, args.checkpoints, args.reliability, args.label_fits]
    if args.test_archives:
        of_archives = [args.test_archives / name for name in study.test_archives]
        further += [
            folder / f"{name}.parquet" for folder in of_archives for name in ("draws", *TABLES)
        ]
    draws = args.scores.with_name(FILE)
    further += [draws if draws.exists() else None]
    reads = [*judged, *further, *args.similarity, *args.logs, *args.examples, *args.tips]
    with step(args, study, "figures", reads, [args.out / "figures", args.out / "tables"]):
        subsets = pl.read_parquet(args.subsets) if args.subsets else None
        maps = [pl.read_parquet(path) for path in args.similarity]
        scores = read_scores(args.scores)
        fits, crossovers, comparisons, verdicts = map(pl.read_parquet, judged[1:])
        along = pl.read_parquet(args.checkpoints) if args.checkpoints else None
        training = read_logs(args.logs) if args.logs else None
        elsewhere = tables_elsewhere(args.test_archives) if args.test_archives else {}
        tables = Tables(
            *(scores, fits, crossovers, comparisons, verdicts, subsets, maps, along, training),
            elsewhere=elsewhere,
            films=[pl.read_parquet(path) for path in args.examples],
            tips=together(args.tips),
            reliability=pl.read_parquet(args.reliability) if args.reliability else None,
            label_fits=pl.read_parquet(args.label_fits) if args.label_fits else None,
        )
        draw_figures(study, tables, args.out)


def _redraw(args: argparse.Namespace) -> None:
    from radscale_lib.report.finished import of_arms, settings_of, tables_of

    if args.out.resolve() == args.results.resolve():
        sys.exit(f"--out {args.out}: holds the study's own figures: give another folder")
    try:
        study = study_of(args) if args.study else settings_of(args.results)
        tables = tables_of(args.results)
        if args.arms:
            study, tables = of_arms(study, tables, args.arms)
        draw_figures(study, tables, args.out, args.only, args.width, args.style)
    except (StudyError, ValueError, OSError) as error:
        sys.exit(str(error))
