"""Download published weights from the Hugging Face Hub: the only step that needs a network."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="timm:NAME, open_clip:NAME/TAG, or OWNER/REPOSITORY")
    parser.add_argument("--to", type=Path, required=True, help="folder for the files")
    args = parser.parse_args(argv)

    from radscale_lib.encoders.fetch import fetch
    from radscale_lib.encoders.release import ReleaseError

    try:
        print(f"{args.to}: from {fetch(args.name, args.to)}", file=sys.stderr)
    except ReleaseError as error:
        parser.exit(1, f"{error}\n")
