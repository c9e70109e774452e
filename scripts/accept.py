"""Accept existing results after a change judged harmless, and record it in the run cards."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from radscale_lib.planning.stages import ROOT
from radscale_lib.study import load_study
from workflow.accept import record, refuse_missing


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--reason", required=True, help="why the results still hold")
    parser.add_argument("options", nargs="*", help="targets and options for snakemake, after --")
    arguments = parser.parse_args(argv)
    study = load_study(arguments.study)
    options = arguments.options or ["--configfile", str(arguments.study)]
    plan = subprocess.run(
        [
            *(sys.executable, str(ROOT / "scripts/plan.py")),
            *("--study", str(arguments.study), "--json", "--", *options),
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    jobs = json.loads(plan.stdout)["jobs"]
    refuse_missing(jobs)
    cards = record(study, jobs, arguments.reason)
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--touch", "--cores", "1", *options),
        ],
        check=True,
    )
    print(f"Accepted {len(jobs)} jobs; recorded in {len(cards)} run cards.")


if __name__ == "__main__":
    main()
