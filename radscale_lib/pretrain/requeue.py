"""Requeue: a training that was stopped puts its own job back into SLURM's queue."""

import os
import subprocess
import sys


def requeue() -> bool:
    """If SLURM runs this job, put it back into its queue under the same id.

    A job that is being cancelled, or has run out of time, is no longer RUNNING and is not requeued.

    Returns:
        Whether the job will start again.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    state = _said("squeue", "--noheader", "--format=%T", "--jobs", job)
    if state != "RUNNING" or _said("scontrol", "requeue", job) is None:
        return False
    print(f"job {job} is requeued", file=sys.stderr, flush=True)
    return True


def _said(*command: str) -> str | None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return None
    return ended.stdout.strip()
