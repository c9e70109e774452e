"""Check a study before it runs: paths, weights, keys, budgets, tables, sizes and labels."""

import argparse
import sys
from pathlib import Path

from radscale_lib.preflight.check import findings, told
from radscale_lib.study import StudyError, load_study
from radscale_lib.texts import plain


def main(argv: list[str] | None = None) -> None:
    """Print what was found; exit with 1 if any of it stops a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
    except StudyError as error:
        sys.exit(str(error))
    found = findings(study)
    for finding in found:
        if not finding.stops:
            print(plain(f"note: {finding.text}"))
    if any(finding.stops for finding in found):
        sys.exit(plain(told(study, found)))
    print(f"Study {study.name!r}: nothing found that would stop it.")
