"""Turn a collection of radiographs into DICOM files and tables."""

import argparse
from pathlib import Path

from radscale_lib.archive.collections import import_collection, report
from radscale_lib.archive.formats import FORMATS, CollectionError, Tables
from radscale_lib.archive.tablefile import Form, TableError
from radscale_lib.archive.tablesources import SEPARATORS


def main(argv: list[str] | None = None) -> None:
    """Write OUT/dicom and OUT/labels.csv, for the keys 'dicom' and 'labels' of an archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("format", choices=sorted(FORMATS), help="format of the collection")
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--table", type=Path, required=True, help="table of the collection (CSV)")
    parser.add_argument("--labels", type=Path, help="labels in a separate file (mimic)")
    parser.add_argument("--reports", type=Path, help="folder of report texts (mimic)")
    parser.add_argument("--tubes", type=Path, help="table of tube polylines (clip)")
    parser.add_argument(
        "--separator",
        choices=sorted(SEPARATORS),
        help="separator of the tables (default: detected from their headers)",
    )
    parser.add_argument(
        "--encoding",
        help="encoding of the tables (default: UTF-8, UTF-16 and Windows-1252 are detected)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args(argv)
    try:
        form = Form(separator=args.separator, encoding=args.encoding)
        tables = Tables(args.table, args.labels, args.reports, args.tubes, form)
        report(import_collection(args.format, args.images, tables, args.out))
    except (CollectionError, TableError) as error:
        parser.exit(1, f"{error}\n")
