"""Share of a study's core time that is process start-up and imports.

Runs a study from scratch with Python's import timer on, so that every job's log lists its imports
with their times, and compares their sum with the jobs' wall times from Snakemake's benchmarks.

    python benchmarks/startup.py --configfile config/config.yaml --results /tmp/startup
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from radscale_lib.planning.stages import ROOT
from radscale_lib.study import load_study

INTERPRETER_SECONDS = 0.02
"""Start of the bare interpreter, not seen by the import timer."""
IMPORT = re.compile(r"^import time:\s+(\d+) \|", re.MULTILINE)


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config/config.yaml")
    parser.add_argument("--results", type=Path, required=True, help="folder for the results")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args(argv)
    began = time.monotonic()
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", str(arguments.cores)),
            *("--configfile", str(arguments.configfile)),
            *("--config", f"results={arguments.results}"),
        ],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
    )
    wall = time.monotonic() - began
    folder = arguments.results / load_study(arguments.configfile).name
    report(folder, wall)


def report(folder: Path, wall: float) -> None:
    """Print the table of a finished study whose jobs ran with the import timer on."""
    jobs: dict[str, list[float]] = defaultdict(list)
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        with path.open(newline="") as file:
            seconds = sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
        jobs[_rule(path, folder / "benchmarks")].append(seconds)
    starts: dict[str, float] = defaultdict(float)
    for path in sorted((folder / "logs").rglob("*.log")):
        microseconds = sum(map(int, IMPORT.findall(path.read_text(errors="replace"))))
        starts[_rule(path, folder / "logs")] += microseconds / 1e6 + INTERPRETER_SECONDS
    print(f"{'rule':<20}{'jobs':>6}{'seconds':>10}{'start-up':>10}{'share':>8}")
    for rule, times in jobs.items():
        share = starts[rule] / sum(times) if sum(times) else 0
        print(f"{rule:<20}{len(times):>6}{sum(times):>10.1f}{starts[rule]:>10.1f}{share:>8.0%}")
    total, start = sum(map(sum, jobs.values())), sum(starts[rule] for rule in jobs)
    print(f"{'all':<20}{'':>6}{total:>10.1f}{start:>10.1f}{start / total:>8.0%}")
    print(f"wall {wall:.0f} s")


def _rule(path: Path, top: Path) -> str:
    relative = path.relative_to(top)
    return relative.parts[0] if len(relative.parts) > 1 else path.stem


if __name__ == "__main__":
    main()
