"""Read the tables of an archive, check them as a whole, and prepare them for joining."""

import argparse
import sys
from pathlib import Path

from radscale_lib.archive.jointable import form_of, write_join_table
from radscale_lib.archive.tablefile import TableError
from radscale_lib.files import make_private
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study.archive import TABLES


def main(argv: list[str] | None = None) -> None:
    """Write a table of rows and keys for each table; report the problems of all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--reports", type=Path, help="table of reports")
    parser.add_argument("--labels", type=Path, help="table of labels")
    parser.add_argument("--tubes", type=Path, help="table of tubes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables to write")
    args = parser.parse_args(argv)
    study = study_of(args)
    archive, labels = study.archives[args.archive], study.labels_in(args.archive)
    problems = []
    given = {name: path for name in TABLES if (path := getattr(args, name)) is not None}
    makes = [args.out / f"{name}.parquet" for name in given]
    with step(args, study, "tables", given.values(), makes, archive=args.archive):
        make_private(args.out)  # texts and keys are as in the tables
        for (name, path), ready in zip(given.items(), makes, strict=True):
            form, ignore = form_of(archive, name), getattr(archive.joins, name).ignore
            try:
                facts = write_join_table(name, path, labels, ready, form, ignore)
            except TableError as error:
                problems.append(str(error))
            else:
                print(f"{name}: {facts.rows:,} rows by {', '.join(facts.keys)}", file=sys.stderr)
        if problems:
            parser.exit(1, "\n".join(problems) + "\n")
