"""List the files of an archive, partition by partition."""

import argparse
from pathlib import Path

from radscale_lib.archive.jointable import form_of
from radscale_lib.archive.listing import ListingError, refresh
from radscale_lib.archive.masks import refresh_masks
from radscale_lib.provenance.step import add_options, step, study_of


def main(argv: list[str] | None = None) -> None:
    """Write part=K.tsv for every partition; listings that did not change keep their time stamp."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--dicom", type=Path, required=True, help="folder of DICOM files")
    parser.add_argument("--after", type=Path, help="manifest of the archive, if it is a phantom")
    parser.add_argument("--tubes", type=Path, help="table of tubes, whose masks are also listed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the listings")
    args = parser.parse_args(argv)
    study = study_of(args)
    archive = study.archives[args.archive]
    with step(args, study, "scan", [args.after], [args.out], archive=args.archive):
        try:
            refresh(args.dicom, args.out, archive.partitions, archive.phantom is not None)
            if args.tubes:
                refresh_masks(args.tubes, args.out, form_of(archive, "tubes"))
        except ListingError as error:
            parser.exit(1, f"{error}\n")
