"""Draw the figures of a study, and write the tables they plot."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.figures import draw_scaling_figures
from radscale_lib.report.maps import draw_similarity_figures
from radscale_lib.report.subsets import draw_subset_figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--scores", type=Path, required=True, help="scores table")
    parser.add_argument("--fits", type=Path, required=True, help="fits table")
    parser.add_argument("--crossovers", type=Path, required=True, help="crossovers table")
    parser.add_argument(
        "--similarity", type=Path, nargs="*", default=[], help="similarity maps, one file per arm"
    )
    parser.add_argument("--subsets", type=Path, help="card of the subsets")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder that gets figures/ and tables/"
    )
    args = parser.parse_args(argv)
    study = study_of(args)
    reads = [args.scores, args.fits, args.crossovers, args.subsets, *args.similarity]
    with step(args, study, "figures", reads, [args.out / "figures", args.out / "tables"]):
        scores, fits = pl.read_parquet(args.scores), pl.read_parquet(args.fits)
        draw_scaling_figures(study, scores, fits, args.out)
        if args.subsets:
            draw_subset_figure(study, pl.read_parquet(args.subsets), args.out)
        maps = [pl.read_parquet(path) for path in args.similarity]
        draw_similarity_figures(study, maps, args.out)
