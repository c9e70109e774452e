"""Describe the subsets of a study: size, patients, labels and views, and how they differ."""

import argparse
from pathlib import Path

import polars as pl

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.shards.labels import join_labels, label_files
from radscale_lib.shards.parquet import write_table
from radscale_lib.subsets.card import columns, describe
from radscale_lib.subsets.splits import describe_splits


def main(argv: list[str] | None = None) -> None:
    """Write the card of all subsets."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog of the archive")
    parser.add_argument(
        "--labels", type=Path, help="folder of the labels' tables, if they have any"
    )
    parser.add_argument("--subsets", type=Path, nargs="+", required=True, help="seed=S/n=N.parquet")
    parser.add_argument("--out", type=Path, required=True, help="card to write (Parquet)")
    parser.add_argument("--splits", type=Path, help="counts of each split (written, Parquet)")
    args = parser.parse_args(argv)
    study = study_of(args)
    labels = study.labels
    reads = [args.catalog, *label_files(labels, args.labels), *args.subsets]
    writes = [args.out, *([args.splits] if args.splits else [])]
    with step(args, study, "subset_card", reads, writes):
        catalog = pl.read_parquet(args.catalog, columns=columns(args.catalog, labels))
        if args.labels is not None:
            catalog = join_labels(catalog, labels, args.labels)
        subsets = {
            (int(path.parent.name.removeprefix("seed=")), int(path.stem.removeprefix("n="))): (
                pl.read_parquet(path, columns=["image_id"])
            )
            for path in args.subsets
        }
        card = describe(catalog, subsets, labels, study.smallest_cell("institution"))
        write_table(args.out, card.to_arrow())
        if args.splits:
            counts = describe_splits(catalog, labels, study.smallest_cell("institution"))
            write_table(args.splits, counts.to_arrow())
