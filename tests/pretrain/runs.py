"""Runs of the small archive."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch.utils.data import Dataset

from radscale_lib.pretrain.data import Share
from radscale_lib.pretrain.distributed import World
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.session import _build, _rows, _setup
from radscale_lib.pretrain.trainer import Trainer
from radscale_lib.study import Run
from tests.pretrain.archive import Archive

ROOT = Path(__file__).parents[2]


def job(archive: Archive, arm: str, base: Path | None = None, **values: object) -> Job:
    """A job of an arm on the subset, or of base weights on the whole catalog."""
    is_base = arm in archive.study.bases
    defaults = {
        "study": archive.study,
        "run": Run(arm, 0 if is_base else 20, 0),
        "stage": "stage",
        "catalog": archive.catalog,
        "shards": archive.shards,
        "ranges": archive.ranges,
        "subset": None if is_base else archive.subset,
        "base": base,
        "work": Path("work"),
    }
    return Job(**(defaults | values))  # type: ignore[arg-type]


def batches_of(
    job: Job, folder: Path, rank: int = 0, world: int = 1
) -> tuple[Learner, Dataset[dict[str, torch.Tensor]]]:
    """Learner and batches of a job, without training."""
    folder.mkdir(parents=True, exist_ok=True)
    alone = World(rank, 1, torch.device("cpu"))
    rows, _ = _rows(job, folder, alone)
    torch.manual_seed(job.seed)
    optimiser = job.section.recipe.optimiser
    share = Share(job.seed, optimiser.batch, len(rows), rank, world, optimiser.passes)
    start = _build(_setup(job, folder, rows, share))
    return start.learner, start.batches


def trainer_of(job: Job, folder: Path) -> tuple[Trainer, Dataset[dict[str, torch.Tensor]]]:
    """Trainer and batches of a job, at its first step."""
    learner, batches = batches_of(job, folder)
    alone = World(0, 1, torch.device("cpu"))
    optimiser = job.section.recipe.optimiser
    trainer = Trainer(learner, batches, optimiser, job.study.compute, alone, job.seed, folder)
    return trainer, batches


def command(archive: Archive, arm: str, out: Path, *options: str) -> list[str]:
    """The script's command line for a job."""
    is_base = arm in archive.study.bases
    return [
        sys.executable,
        str(ROOT / "scripts" / "pretrain.py"),
        *("--study", str(archive.study_file), "--id", "stage", "--arm", arm),
        *("--catalog", str(archive.catalog), "--shards", str(archive.shards)),
        *("--ranges", str(archive.ranges)),
        *("--work", str(out / "work"), "--out", str(out)),
        *(() if is_base else ("--size", "20", "--subset", str(archive.subset))),
        *options,
    ]


def run(arguments: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(
        arguments, check=check, env=environment(), capture_output=True, text=True, timeout=300
    )


def environment() -> dict[str, str]:
    """The checkout's code, one thread."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
