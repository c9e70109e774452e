"""List the files of a study that may leave the institution, check them, and copy them."""

import argparse
from pathlib import Path

from radscale_lib.pseudonyms import KeyMissingError, read_key
from radscale_lib.report.release import items, release, told
from radscale_lib.study import StudyError, load_study


def main(argv: list[str] | None = None) -> None:
    """Print each file with its problems; fail if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--out", type=Path, help="new folder for the copies, digests keyed")
    parser.add_argument("--license", help="address of the files' licence, for the RO-Crate")
    parser.add_argument("--author", help="name of the institution, for the RO-Crate")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
        listed = items(study)
        print(told(listed) or f"{study.folder}: no results that may leave: run the study first")
        if any(item.problems for item in listed):
            parser.exit(1, "Not released: the files above have problems.\n")
        if args.out:
            key = read_key(study.institution)
            release(study, key, args.out, args.license, args.author)
    except (StudyError, KeyMissingError) as error:
        parser.exit(1, f"{error}\n")
    except FileExistsError:
        parser.exit(1, f"{args.out}: already exists: give a new folder\n")
