"""Show the status of a study: runs done, running and failed, and what is left."""

import argparse
import json
import sys
from pathlib import Path

from radscale_lib.study import StudyError, load_study
from radscale_lib.texts import plain
from workflow.dry_run import planned
from workflow.status import as_json, render, status


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("options", nargs="*", help="targets and options for snakemake, after --")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
    except StudyError as error:
        sys.exit(str(error))
    now = status(study, planned(study, args.options or ["--configfile", str(args.study)]))
    print(json.dumps(as_json(study, now)) if args.json else plain(render(study, now)))


if __name__ == "__main__":
    main()
