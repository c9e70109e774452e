"""List the jobs that would run, why, and what they cost, without running any."""

import argparse
import json
import sys
from pathlib import Path

from radscale_lib.study import StudyError, load_study
from radscale_lib.texts import plain
from workflow import plan
from workflow.dry_run import planned
from workflow.site import SiteError, load_site, site_file


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--at-once", type=int, default=1, help="jobs that run at a time")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("options", nargs="*", help="targets and options for snakemake, after --")
    args = parser.parse_args(argv)
    try:
        study, site = load_study(args.study), load_site(site_file())
    except (StudyError, SiteError) as error:
        sys.exit(str(error))
    jobs = planned(study, args.options or ["--configfile", str(args.study)])
    if args.json:
        print(json.dumps(plan.as_json(study, jobs, site, args.at_once)))
    else:
        print(plain(plan.render(study, jobs, site, args.at_once)))
    if above := plan.over_budget(study, jobs, args.at_once):
        sys.exit(above)


if __name__ == "__main__":
    main()
