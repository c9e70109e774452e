"""Draw the figures of a study, and write the tables they plot."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.figures import Tables


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--scores", type=Path, required=True, help="scores table")
    parser.add_argument("--fits", type=Path, required=True, help="fits table")
    parser.add_argument("--crossovers", type=Path, required=True, help="crossovers table")
    parser.add_argument("--comparisons", type=Path, required=True, help="comparisons table")
    parser.add_argument("--verdicts", type=Path, required=True, help="verdicts table")
    parser.add_argument(
        "--similarity", type=Path, nargs="*", default=[], help="similarity maps, one file per arm"
    )
    parser.add_argument("--subsets", type=Path, help="card of the subsets")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder that gets figures/ and tables/"
    )
    args = parser.parse_args(argv)
    study = study_of(args)
    judged = [args.scores, args.fits, args.crossovers, args.comparisons, args.verdicts]
    reads = [*judged, args.subsets, *args.similarity]
    with step(args, study, "figures", reads, [args.out / "figures", args.out / "tables"]):
        subsets = pl.read_parquet(args.subsets) if args.subsets else None
        maps = [pl.read_parquet(path) for path in args.similarity]
        scores, fits, crossovers, comparisons, verdicts = map(pl.read_parquet, judged)
        tables = Tables(scores, fits, crossovers, comparisons, verdicts, subsets, maps)
        draw_figures(study, tables, args.out)
