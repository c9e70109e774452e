"""Pooled features of a frozen encoder for all images outside the pool."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study import Run
from radscale_lib.tasks.evaluate import extract_features
from radscale_lib.tasks.inputs import Inputs


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--arm", required=True, help="arm or baseline of the run")
    parser.add_argument("--size", type=int, required=True, help="images of the run's subset")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    parser.add_argument("--shards", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--ranges", type=Path, help="index of the shards (index_shards.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the features")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    run = Run(args.arm, args.size, args.seed)
    inputs = Inputs(args.encoder, args.out, args.catalog, args.shards, args.ranges)
    study = study_of(args)
    makes = [args.out / "features.safetensors", args.out / "index.parquet"]
    card = inputs.card if inputs.card.exists() else None
    reads = [args.encoder, card, args.catalog, args.ranges]
    with step(args, study, "features", reads, makes, arm=args.arm):
        extract_features(study, run, inputs, args.threads)
