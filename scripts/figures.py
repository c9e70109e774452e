"""Draw the figures of a study, and write the tables they plot."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.report.figures import draw_scaling_figures
from radscale_lib.report.maps import draw_similarity_figures
from radscale_lib.report.subsets import draw_subset_figure
from radscale_lib.study import load_study


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
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
    study = load_study(args.study)
    scores, fits = pl.read_parquet(args.scores), pl.read_parquet(args.fits)
    draw_scaling_figures(study, scores, fits, args.out)
    if args.subsets:
        draw_subset_figure(study, pl.read_parquet(args.subsets), args.out)
    draw_similarity_figures(study, [pl.read_parquet(path) for path in args.similarity], args.out)


if __name__ == "__main__":
    main()
