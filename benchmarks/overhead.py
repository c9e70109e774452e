"""Measure the workflow's own cost: planning large studies, and the overhead of SLURM jobs.

    python benchmarks/overhead.py plan          dry runs of the full study, at 1, 3 and 10 times
    python benchmarks/overhead.py overhead      a small study on the test cluster (as root, Debian)
    python benchmarks/overhead.py simulate      the full study's jobs as sleeps, with faults

`simulate` runs the real Snakefile with a stand-in for the scripts: it sleeps for a scaled-down time
and touches the job's outputs, or fails at random.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import yaml

from radscale_lib.planning.identity import ROOT
from workflow.journal import NAME, Entry, read_journal

PAPER = ROOT / "config/paper.yaml"

COMMAND = (
    "python {SCRIPTS}/stand_in.py 2> {log:q} && for f in {output:q};"
    " do case $f in */figures|*/tables) mkdir -p $f;; *) touch $f;; esac; done"
)

STAND_IN = '''\
"""Stands in for every script: sleeps, then touches the job's outputs, or fails at random."""
import os, random, sys, time
from pathlib import Path

rng = random.Random(os.urandom(8))
time.sleep(rng.uniform(0.5, 1.5) * float(os.environ["SIMULATED_SECONDS"]))
tries = Path(os.environ["SIMULATED_TRIES"], f"{time.time_ns()}-{os.getpid()}")
failed = rng.random() < float(os.environ["SIMULATED_FAULTS"])
tries.write_text("failed" if failed else "done")
if failed:
    sys.exit("simulated fault")
'''


def paper(folder: Path, times: int) -> Path:
    """A copy of the full study in `folder`, with `times` times its jobs.

    The full study has three arms, six sizes, three seeds and 350 partitions; it is multiplied by
    adding seeds and partitions.
    """
    values = yaml.safe_load(PAPER.read_text().replace("1e-4", "1.0e-4"))
    values["results"] = str(folder / "results")
    values["institution"]["partitions"] = 350 * times
    values["subsets"]["sizes"] = [30_000, 50_000, 100_000, 300_000, 1_000_000, 3_500_000]
    for arm in values["arms"].values():
        arm["seeds"] = list(range(3 * times))
    path = folder / f"paper-{times}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def snakemake(*options: str) -> list[str]:
    """The command line of snakemake on the repository's Snakefile."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *options]


def plan(times: list[int]) -> None:
    """Time dry runs: wall and CPU seconds, and jobs, each beside the first."""
    first = None
    for factor in times:
        with tempfile.TemporaryDirectory() as folder:
            study = paper(Path(folder), factor)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            ended = subprocess.run(
                snakemake("--dry-run", "--quiet", "rules", "--configfile", str(study)),
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            wall = time.monotonic() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = ended.stdout + ended.stderr
        found = re.search(r"^total\s+(\d+)", said, re.MULTILINE)
        if found is None:
            sys.exit(said[-2000:])
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        jobs = int(found[1])
        first = first or (cpu, jobs)
        print(
            f"{factor:>3} x: {jobs:>6} jobs  {wall:6.1f} s wall  {cpu:6.1f} s CPU  "
            f"{cpu / first[0]:5.2f} x the CPU for {jobs / first[1]:5.2f} x the jobs",
            flush=True,
        )


def overhead() -> None:
    """Run a small study on the test cluster, one SLURM job each, and break down the wall time.

    The critical chain of jobs is followed backwards: before each job comes the one that was last
    seen to end before it was submitted.
    """
    sys.path.insert(0, str(ROOT))
    from tests.slurm.cluster import Cluster
    from tests.slurm.study import ClusterStudy
    from tests.workflow.checkout import copy_checkout

    with tempfile.TemporaryDirectory() as name, Cluster(Path(name, "cluster")) as cluster:
        study = ClusterStudy(copy_checkout(Path(name, "checkout")).folder, cluster, Path(name))
        one_arm(study.study_file)
        began = time.time()
        study.finish("--groups", "none=none", "--jobs", "2", seconds=900)
        ended = time.time()
        entries = [entry for entry in read_journal(study.results / NAME).of("done") if entry.log]
        chain = [max(entries, key=lambda entry: entry.started + entry.seconds)]
        while before := [
            entry for entry in entries if entry.started + entry.seconds <= chain[-1].started
        ]:
            chain.append(max(before, key=lambda entry: entry.started + entry.seconds))
        parts, now = Counter[str](), began
        for entry in reversed(chain):
            # A job's benchmark has the same path as its log.
            log = Path(entry.log).relative_to("results/smoke/logs")
            benchmark = study.results / "benchmarks" / log.with_suffix(".tsv")
            own = float(benchmark.read_text().splitlines()[-1].split("\t")[0])
            job_end, seen = slurm_end(study.folder, entry), entry.started + entry.seconds
            parts["the head: reading the workflow, choosing jobs"] += entry.started - now
            parts["submission, queue, two nested Snakemakes"] += job_end - own - entry.started
            parts["the jobs' own commands"] += own
            parts["waiting for the next poll"] += seen - job_end
            now = seen
        parts["the head: end"] += ended - now
        wall = ended - began
        print(f"{len(entries)} jobs, {wall:.0f} s wall; chain of {len(chain)} jobs:")
        for part, seconds in parts.items():
            print(f"{part:<48} {seconds:7.1f} s  {seconds / wall:4.0%}")
        rest = (wall - parts["the jobs' own commands"]) / len(chain)
        print(f"overhead: {rest:.1f} s for each job of the chain")
        for entry in reversed(chain):
            print(f"  {entry.rule:<20} {entry.seconds:6.1f} s")


def slurm_end(checkout: Path, entry: Entry) -> float:
    """When a job's outer Snakemake last wrote to its log, seconds since the epoch."""
    folder = checkout / ".snakemake/slurm_logs" / f"rule_{entry.rule}"
    own = folder / "_".join(entry.wildcards.values())
    logs = [*own.glob("*.log")] or [*folder.glob("*.log")]  # logs of an array are in one folder
    return max(path.stat().st_mtime for path in logs)


def one_arm(study_file: Path) -> None:
    """Leave one arm and two tasks of the smoke study."""
    values = yaml.safe_load(study_file.read_text())
    values["arms"] = {"rad-dino": values["arms"]["rad-dino"]}
    values["bases"] = {"rad-dino-open": values["bases"]["rad-dino-open"]}
    values["encoders"] = {"rad-dino": values["encoders"]["rad-dino"]}
    tasks = values["evaluation"]["tasks"]
    values["evaluation"]["tasks"] = {name: tasks[name] for name in ("findings", "segmentation")}
    values["scaling"]["metrics"] = {"findings": "auroc", "segmentation": "dice"}
    study_file.write_text(yaml.safe_dump(values, sort_keys=False))


def simulate(seconds: float, faults: float, cores: int, partitions: int) -> None:
    """Run every job of the full study as a sleep, with random faults, until it completes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        checkout = folder / "checkout"
        for name in ("workflow", "radscale_lib", "config", "profiles", "scripts"):
            shutil.copytree(ROOT / name, checkout / name)
        shutil.copy(ROOT / "Snakefile", checkout)
        rules(checkout)
        study = paper(folder, 1)
        values = yaml.safe_load(study.read_text())
        values["institution"] = {
            "phantom": {"patients": 3_700_000, "seed": 1, "site": "institution", "pixels": 64},
            "partitions": partitions,
            "image": {"shorter_side": 32},
        }
        values["labels"]["findings"] = ["cardiomegaly", "effusion", "pneumothorax"]
        study.write_text(yaml.safe_dump(values, sort_keys=False))
        for weights in ("rad-dino", "language-model"):
            (checkout / "weights" / weights).mkdir(parents=True)
        (checkout / "weights/medimageinsight.safetensors").touch()
        (folder / "tries").mkdir()
        environment = os.environ | {
            "PYTHONPATH": f"{checkout}{os.pathsep}{checkout / 'workflow/logger'}",
            "SIMULATED_SECONDS": str(seconds),
            "SIMULATED_FAULTS": str(faults),
            "SIMULATED_TRIES": str(folder / "tries"),
        }
        began = time.monotonic()
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--retries", "3"),
                *("--configfile", str(study), "--quiet", "all"),
            ],
            cwd=checkout,
            env=environment,
            check=False,
        )
        wall = time.monotonic() - began
        tries = Counter(path.read_text() for path in (folder / "tries").iterdir())
        print(
            json.dumps({
                "exit": ended.returncode,
                "wall_seconds": round(wall, 1),
                **tries,
                "complete": (folder / "results/paper/report.html").exists(),
                "unfinished": len(read_journal(folder / "results/paper" / NAME).of("started")),
            })
        )  # fmt: skip


def rules(checkout: Path) -> None:
    """Let every rule's command be the stand-in, then touch its outputs."""
    (checkout / "scripts/stand_in.py").write_text(STAND_IN)
    shell = re.compile(r'^( +)shell:\n(?:\s+"[^\n]*\n)+', re.MULTILINE)
    for path in (checkout / "workflow/rules").glob("*.smk"):
        path.write_text(shell.sub(rf"\1shell:\n\1    {COMMAND!r}\n", path.read_text()))


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan")
    planning.add_argument("--times", type=int, nargs="+", default=[1, 3, 10])
    commands.add_parser("overhead")
    simulation = commands.add_parser("simulate")
    simulation.add_argument("--seconds", type=float, default=0.05, help="of a job, on average")
    simulation.add_argument("--faults", type=float, default=0.05, help="share of tries that fail")
    simulation.add_argument("--cores", type=int, default=8)
    simulation.add_argument("--partitions", type=int, default=350)
    args = parser.parse_args(argv)
    if args.command == "plan":
        plan(args.times)
    elif args.command == "overhead":
        overhead()
    else:
        simulate(args.seconds, args.faults, args.cores, args.partitions)


if __name__ == "__main__":
    main()
