"""List what of a study may leave the institution, check it, and copy it."""

import argparse
from pathlib import Path

from radscale_lib.pseudonyms import KeyMissingError, read_key
from radscale_lib.report.release import items, release, told
from radscale_lib.study import StudyError, load_study


def main(argv: list[str] | None = None) -> None:
    """Print each file with what was found in it; fail if something was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--out", type=Path, help="new folder for the copies, digests keyed")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
        listed = items(study)
        print(told(listed) or f"{study.folder}: nothing that may leave: run the study first")
        if any(item.problems for item in listed):
            parser.exit(1, "Not released: something speaks against the files named above.\n")
        if args.out:
            release(study, read_key(study.institution), args.out)
    except (StudyError, KeyMissingError) as error:
        parser.exit(1, f"{error}\n")
    except FileExistsError:
        parser.exit(1, f"{args.out}: is there: give a new folder\n")
