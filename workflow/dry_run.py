"""What snakemake would run, asked of snakemake itself in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.planning.stages import ROOT
from radscale_lib.study.model import Study
from workflow.plan import Job, read_jobs


def planned(study: Study, options: Sequence[str]) -> list[Job]:
    """The jobs of a dry run, each after those it waits for.

    Args:
        study: the study.
        options: of snakemake: targets, and what chooses the study.

    Raises:
        subprocess.CalledProcessError: if snakemake fails; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "jobs.jsonl")
        jobs.touch()
        subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
                # Options first: several of snakemake's take all names that follow.
                *("--dry-run", "--cores", "1", "--nolock", *options, "--logger", "radscale"),
            ],
            check=True,
            env=os.environ | {"RADSCALE_PLAN": str(jobs)},
        )
        with jobs.open() as lines:
            return read_jobs(study, lines)
