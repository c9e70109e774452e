"""Score each source's labels against a person's answers in a filled sample."""

import argparse
from pathlib import Path

from radscale_lib.labels.audit import read_filled, score
from radscale_lib.labels.join import LabelsError, known_states
from radscale_lib.labels.parts import add_parts, parts_of
from radscale_lib.provenance.step import InputError, add_options, step, study_of
from radscale_lib.shards.parquet import write_table


def main(argv: list[str] | None = None) -> None:
    """Write agreement, precision and recall of each source and label."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--filled", type=Path, required=True, help="the filled-in sample, CSV")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    add_parts(parser)
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    args = parser.parse_args(argv)
    study, parts = study_of(args), parts_of(args)
    reads = [args.filled, args.catalog, *(path for paths in parts.values() for path in paths)]
    with step(args, study, "audit", reads, [args.out]):
        try:
            filled = read_filled(args.filled, study.labels)
            found = known_states(study.labels, args.catalog, parts)
            table = score(study.labels, filled, found, study.smallest_cell("institution"))
        except LabelsError as error:
            raise InputError(str(error)) from None
        write_table(args.out, table.to_arrow())
