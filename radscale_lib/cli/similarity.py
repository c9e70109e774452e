"""Compute patch-similarity maps of one tube tip, and how many tips an arm's encoders find."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.similarity import similarity_maps
from radscale_lib.report.tips import localise_tips
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
    parser.add_argument("--tips", type=Path, help="table of tips found (written)")
    args = parser.parse_args(argv)
    study = study_of(args)
    with step(
        args,
        study,
        "similarity",
        [args.catalog, args.ranges, *args.encoders],
        [args.out, *([args.tips] if args.tips else [])],
        arm=args.arm,
    ):
        catalog = pl.read_parquet(args.catalog)
        reader = ShardReader(args.shards, args.ranges)
        of = (args.arm, args.sizes, args.encoders)
        makers = {args.out: similarity_maps, args.tips: localise_tips}
        for path, make in makers.items():
            if path:
                table = make(study, catalog, reader, *of)
                with atomic_write(path) as partial:
                    table.write_parquet(partial)
