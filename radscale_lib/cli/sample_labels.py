"""Draw reports for a person to read, as a table to fill and as a page that works offline."""

import argparse
from pathlib import Path

from radscale_lib.exports import write_csv
from radscale_lib.files import atomic_write
from radscale_lib.labels.audit import draw
from radscale_lib.labels.join import LabelsError, known_states
from radscale_lib.labels.page import page
from radscale_lib.labels.parts import add_parts, parts_of
from radscale_lib.provenance.step import InputError, add_options, step, study_of


def main(argv: list[str] | None = None) -> None:
    """Write sample.csv and page.html."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    add_parts(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the sample")
    args = parser.parse_args(argv)
    study, parts = study_of(args), parts_of(args)
    makes = [args.out / "sample.csv", args.out / "page.html"]
    reads = [args.catalog, *(path for paths in parts.values() for path in paths)]
    with step(args, study, "audit_sample", reads, makes):
        try:
            known = known_states(study.labels, args.catalog, parts)
            sample = draw(study.labels, args.catalog, known)
        except LabelsError as error:
            raise InputError(str(error)) from None
        with atomic_write(makes[0]) as partial:
            write_csv(sample, partial)
        with atomic_write(makes[1]) as partial:
            partial.write_text(page(sample, study.name), encoding="utf-8")
