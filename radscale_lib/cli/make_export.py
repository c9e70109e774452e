"""Write simulated films of two sites, German reports and labels, as in a hospital's export."""

import argparse
import sys

from radscale_lib.cli import folder
from radscale_lib.phantom.hospital import write_export


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=folder, help="folder to write, such as data")
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--pixels", type=int, default=128, help="rows of a frontal film")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args(argv)
    if args.patients < 3 or args.pixels < 64 or args.seed < 0:
        parser.error("at least 3 patients, 64 pixels, and a seed of 0 or more")
    try:
        written = write_export(args.folder, args.patients, args.seed, args.pixels)
    except FileExistsError:
        sys.exit(f"{args.folder / 'dicom'}: already exists: choose another folder")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    print(f"{args.folder}: " + ", ".join(f"{count} {what}" for what, count in written.items()))
