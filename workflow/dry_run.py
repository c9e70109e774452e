"""Ask snakemake, in a separate process, what it would run."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.places import snakefile
from radscale_lib.study.model import Study
from workflow.plan import Job, read_jobs

ASKED = "RADSCALE_PLAN"
"""Environment variable with the file in which a dry run lists its jobs, for `planned`."""


def planned(study: Study, options: Sequence[str]) -> list[Job]:
    """The jobs of a dry run of snakemake, each after those it waits for.

    Args:
        study: the study.
        options: options of snakemake: targets, and those that select the study.

    Raises:
        SystemExit: with snakemake's exit status, if it fails, after printing why.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "jobs.json")
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile())),
            # Options come first, since several of snakemake's take all names that follow.
            *("--dry-run", "--cores", "1", "--nolock", *options, "--logger", "radscale"),
        ]
        ended = subprocess.run(command, env=os.environ | {ASKED: str(jobs)}, check=False)
        if ended.returncode:
            sys.exit(ended.returncode)
        return read_jobs(study, json.loads(jobs.read_text()))
