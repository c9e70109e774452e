"""What snakemake would run: by the DAG that it builds, in this process or in one of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radscale_lib.planning.stages import ROOT
from radscale_lib.study.model import Study
from workflow import provenance
from workflow.plan import Job, read_jobs

ASKED = "RADSCALE_PLAN"
"""Environment variable with the file in which a dry run lists its jobs, for `planned`."""


def planned(study: Study, options: Sequence[str]) -> list[Job]:
    """The jobs of a dry run, each after those it waits for, asked of a snakemake started for it.

    Args:
        study: the study.
        options: of snakemake: targets, and what chooses the study.

    Raises:
        SystemExit: with snakemake's exit status, if it fails; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "jobs.json")
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            # Options first: several of snakemake's take all names that follow.
            *("--dry-run", "--cores", "1", "--nolock", *options, "--logger", "radscale"),
        ]
        ended = subprocess.run(command, env=os.environ | {ASKED: str(jobs)}, check=False)
        if ended.returncode:
            sys.exit(ended.returncode)
        return read_jobs(study, json.loads(jobs.read_text()))


def listed(dag: Any) -> list[dict[str, Any]]:
    """The jobs that Snakemake would run by its DAG, as plain values, each after those it waits for.

    Targets such as `all` do nothing, and are left out.

    Args:
        dag: Snakemake's, built.
    """
    rules = {rule.name: place for place, rule in enumerate(dag.workflow.rules)}

    def place(job: Any) -> tuple[int, int]:
        return rules[job.rule.name], dag.jobid(job)

    layers = dag.toposorted(set(dag.needrun_jobs()))
    order = [job for layer in layers for job in sorted(layer, key=place) if job.benchmark]
    numbers = {job: number for number, job in enumerate(order, 1)}
    return [_values(dag, job, numbers) for job in order]


def _values(dag: Any, job: Any, numbers: dict[Any, int]) -> dict[str, Any]:
    return {
        "number": numbers[job],
        "after": sorted(numbers[maker] for maker in dag.dependencies[job] if maker in numbers),
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards_dict),
        "reason": str(dag.reason(job)),
        "threads": job.threads,
        "gpus": int(job.resources.get("gpu", 0) or 0),
        "benchmark": str(job.benchmark),
        "inputs": list(map(str, job.input)),
        "outputs": list(map(str, job.output)),
        "command": provenance.COMMANDS.get(job.rule.name, ""),
    }
