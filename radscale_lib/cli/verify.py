"""Read all results of a study again, and check that each is still what its job wrote."""

import argparse
import os
import sys
from pathlib import Path

from radscale_lib.provenance.verify import verify
from radscale_lib.study import StudyError, load_study


def main(argv: list[str] | None = None) -> None:
    """List damaged, exchanged and foreign results; exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="files read at once")
    args = parser.parse_args(argv)
    try:
        folder = load_study(args.study).folder
    except StudyError as error:
        parser.exit(1, f"{error}\n")
    count, size, problems = verify(folder, args.threads)
    print(f"{folder}: {count:,} results of {size / 1e9:,.2f} GB read, {len(problems):,} problems")
    for problem in problems:
        print(f"  {problem.file}: {problem.what}. Delete it; run snakemake ({problem.job})")
    if not count:
        sys.exit("no result has a manifest: see docs/hospital/reruns.md")
    sys.exit(bool(problems))
