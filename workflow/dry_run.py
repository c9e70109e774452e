"""What snakemake would run, asked of snakemake itself in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.planning.stages import ROOT
from radscale_lib.study.model import Study
from workflow import guard
from workflow.plan import Job, read_jobs

LOCK = ".running"
TRIES = 3
"""Looks at a study that another process runs, before it is given up."""


def planned(study: Study, options: Sequence[str]) -> list[Job]:
    """The jobs of a dry run, each after those it waits for.

    Args:
        study: the study.
        options: of snakemake: targets, and what chooses the study.

    Raises:
        SystemExit: with snakemake's exit status, if it fails; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "jobs.jsonl")
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            # Options first: several of snakemake's take all names that follow.
            *("--dry-run", "--cores", "1", "--nolock", *options, "--logger", "radscale"),
        ]
        environment = os.environ | {"RADSCALE_PLAN": str(jobs)}
        for tries_left in reversed(range(TRIES)):
            jobs.write_text("")
            ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=False)
            # Snakemake gives up where a run beside it removes a file that it has just seen.
            if ended.returncode == 0 or not tries_left or not guard.holder(study.folder / LOCK):
                break
        sys.stderr.write(ended.stderr.decode(errors="replace"))
        if ended.returncode:
            sys.exit(ended.returncode)
        with jobs.open() as lines:
            return read_jobs(study, lines)
