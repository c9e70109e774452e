"""Join the labels of all sources to those of the study."""

import argparse
import sys
from pathlib import Path

import polars as pl

from radscale_lib.labels.audit import below_least
from radscale_lib.labels.join import (
    FOLDERS,
    LabelsError,
    compare_sources,
    count_states,
    known_states,
    write_labels,
)
from radscale_lib.labels.parts import add_parts, parts_of
from radscale_lib.provenance.step import InputError, add_options, step, study_of
from radscale_lib.shards.labels import label_files
from radscale_lib.shards.parquet import write_table


def main(argv: list[str] | None = None) -> None:
    """Write the label tables, their counts, and the agreement of the sources."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    add_parts(parser)
    parser.add_argument("--audit", type=Path, help="scores of the audit, if there was one")
    parser.add_argument("--out", type=Path, required=True, help="folder of the labels' tables")
    args = parser.parse_args(argv)
    study = study_of(args)
    labels, parts = study.labels, parts_of(args)
    tables = [args.out / f"{name}.parquet" for name in ("counts", "agreement")]
    makes = [file for name in FOLDERS for file in label_files(labels, args.out / name)]
    reads = [args.catalog, *(path for paths in parts.values() for path in paths), args.audit]
    with step(args, study, "joined_labels", reads, [*makes, *tables]):
        try:
            below = below_least(labels, pl.read_parquet(args.audit)) if args.audit else []
            told = [f"{name}: {why}" for name, why in below]
            if below and labels.audit.below == "stop":
                raise LabelsError(
                    f"labels.audit.least: {labels.readers[0]} does not read some labels well "
                    f"enough: {'; '.join(told)}: correct their definitions or phrases, remove "
                    "them, lower the bar, or set labels.audit.below: drop"
                )
            found = known_states(labels, args.catalog, parts)
            write_labels(labels, args.catalog, parts, args.out, [name for name, _ in below])
        except LabelsError as error:
            raise InputError(str(error)) from None
        cell = study.smallest_cell("institution")
        write_table(tables[0], count_states(found, cell).to_arrow())
        write_table(tables[1], compare_sources(found, cell).to_arrow())
        for line in told:
            print(f"dropped {line}", file=sys.stderr)
