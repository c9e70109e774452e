"""Say which jobs would run, why, and what they cost, without running any."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from radscale_lib.planning import plan
from radscale_lib.planning.stages import ROOT
from radscale_lib.study import load_study


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("options", nargs="*", help="targets and options for snakemake, after --")
    arguments = parser.parse_args(argv)
    study = load_study(arguments.study)
    options = arguments.options or ["--configfile", str(arguments.study)]
    with tempfile.TemporaryDirectory() as folder:
        jobs_file = Path(folder, "jobs.jsonl")
        jobs_file.touch()
        subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
                *("--dry-run", "--cores", "1", "--nolock", "--logger", "radscale", *options),
            ],
            check=True,
            env=os.environ | {"RADSCALE_PLAN": str(jobs_file)},
        )
        jobs = plan.read_jobs(study, jobs_file.open(), study.folder / "ids")
    print(json.dumps(plan.as_json(study, jobs)) if arguments.json else plan.render(study, jobs))
    try:
        plan.check_budget(study, jobs)
    except plan.OverBudgetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
