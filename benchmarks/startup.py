"""Measure the share of process start-up and imports in a study's core time.

Runs a study from scratch with Python's import timer on, so that every job's log lists its imports
with their times, and compares their sum with the jobs' wall times from Snakemake's benchmarks.

    python benchmarks/startup.py --configfile config/config.yaml --results /tmp/startup

Or compares the imports of each kind of step with those in another checkout, in turns:

    python benchmarks/startup.py --against ../before --rounds 5
"""

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from radscale_lib.planning.identity import ROOT
from radscale_lib.study import load_study

INTERPRETER_SECONDS = 0.02
"""Start-up of the bare interpreter, which the import timer does not see."""
STEPS = {
    "torch alone": "torch",
    "pretraining, UniCL": "radscale_lib.pretrain.train, radscale_lib.pretrain.unicl",
    "pretraining, DINOv2": "radscale_lib.pretrain.train, radscale_lib.pretrain.dinov2",
    "features": "radscale_lib.tasks.extraction, radscale_lib.encoders.davit",
    "segmentation": "radscale_lib.tasks.segmentation, radscale_lib.encoders.davit",
    "generation": "radscale_lib.tasks.generation, radscale_lib.encoders.davit",
}
"""Modules that each kind of step imports, at start-up or on first use."""
IMPORT = re.compile(r"^import time:\s+(\d+) \|", re.MULTILINE)


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config/config.yaml")
    parser.add_argument("--results", type=Path, help="folder for the results")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5, help="imports of each, with --against")
    arguments = parser.parse_args(argv)
    if arguments.against:
        compare(arguments.against.resolve(), arguments.rounds)
        return
    if not arguments.results:
        parser.error("give --results, or --against")
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


def compare(other: Path, rounds: int) -> None:
    """Print the median CPU seconds that steps take to import in another checkout and in this."""
    print(f"{'step':<22}{'there':>8}{'here':>8}{'ratio':>8}")
    for step, modules in STEPS.items():
        seconds = [
            [import_seconds(checkout, modules) for checkout in (other, ROOT)] for _ in range(rounds)
        ]
        there, here = (median(column) for column in zip(*seconds, strict=True))
        print(f"{step:<22}{there:>8.2f}{here:>8.2f}{here / there:>8.2f}", flush=True)


def import_seconds(checkout: Path, modules: str) -> float:
    """CPU seconds of a process that imports modules of a checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", f"import {modules}"],
        check=True,
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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
