"""Make a floor: an encoder with random weights, or principal components of the pixels."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--arm", required=True, help="name of the floor")
    parser.add_argument("--catalog", type=Path, help="catalog.parquet, for components of pixels")
    parser.add_argument("--shards", type=Path, help="folder of the shards")
    parser.add_argument("--ranges", type=Path, help="index of the shards (index_shards.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    args = parser.parse_args(argv)
    study = study_of(args)

    from radscale_lib.pretrain.floors import write_floor
    from radscale_lib.pretrain.run import run_files

    weights = study.encoders[study.encoder_of(args.arm)].described_by
    reads = [weights, args.catalog, args.ranges]
    with step(args, study, "floor", reads, run_files(args.out), arm=args.arm):
        write_floor(study, args.arm, args.catalog, args.shards, args.ranges, args.out)
