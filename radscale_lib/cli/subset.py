"""Draw a nested subset of the pretraining pool."""

import argparse
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.table import write_subset


def main(argv: list[str] | None = None) -> None:
    """Write the first N images of the seed's order, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog of the archive")
    parser.add_argument("--seed", type=int, required=True, help="seed of the order")
    parser.add_argument("--size", type=int, required=True, help="number of images")
    parser.add_argument("--out", type=Path, required=True, help="subset to write (Parquet)")
    args = parser.parse_args(argv)
    study = study_of(args)
    order = study.subsets.order
    reads = [args.catalog, order.table if order.kind == "curated" else None]
    with step(args, study, "subset", reads, [args.out]):
        try:
            write_subset(args.catalog, args.seed, args.size, study.subsets, args.out)
        except SubsetError as error:
            parser.exit(1, f"{error}\n")
