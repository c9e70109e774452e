"""Turn a collection of PNG or JPEG radiographs into DICOM files and a label table."""

import argparse
from pathlib import Path

from radscale_lib.archive.collections import FORMATS, CollectionError, import_collection, report


def main(argv: list[str] | None = None) -> None:
    """Write OUT/dicom and OUT/labels.csv, for the keys 'dicom' and 'labels' of an archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("format", choices=sorted(FORMATS), help="format of the collection")
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--table", type=Path, required=True, help="table of the collection (CSV)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args(argv)
    try:
        report(import_collection(args.format, args.images, args.table, args.out))
    except CollectionError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
