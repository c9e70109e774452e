"""Patch-similarity maps of one tube tip, for several encoders of one arm."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.similarity import similarity_maps
from radscale_lib.shards.reader import ShardReader


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog of the archive")
    parser.add_argument("--shards", type=Path, required=True, help="folder of its shards")
    parser.add_argument("--ranges", type=Path, help="index of the shards (index_shards.py)")
    parser.add_argument("--encoders", type=Path, nargs="+", required=True, help="encoder files")
    parser.add_argument("--arm", required=True, help="arm of the encoders")
    parser.add_argument(
        "--sizes", type=int, nargs="+", required=True, help="number of images of each encoder"
    )
    parser.add_argument("--out", type=Path, required=True, help="table of maps (written)")
    args = parser.parse_args(argv)
    study = study_of(args)
    with step(
        args,
        study,
        "similarity",
        [args.catalog, args.ranges, *args.encoders],
        [args.out],
        arm=args.arm,
    ):
        maps = similarity_maps(
            study,
            pl.read_parquet(args.catalog),
            ShardReader(args.shards, args.ranges),
            args.arm,
            args.sizes,
            args.encoders,
        )
        with atomic_write(args.out) as partial:
            maps.write_parquet(partial)
