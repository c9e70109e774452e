"""Fit scaling laws to the scores of a study, and locate crossovers with the baselines."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.files import whole
from radscale_lib.scaling.tables import fit_study
from radscale_lib.study import load_study


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--scores", type=Path, required=True, help="scores table (read)")
    parser.add_argument("--fits", type=Path, required=True, help="fits table (written)")
    parser.add_argument("--crossovers", type=Path, required=True, help="crossovers table (written)")
    args = parser.parse_args(argv)
    fits, crossovers = fit_study(load_study(args.study), pl.read_parquet(args.scores))
    for table, path in ((fits, args.fits), (crossovers, args.crossovers)):
        with whole(path) as partial:
            table.write_parquet(partial)


if __name__ == "__main__":
    main()
