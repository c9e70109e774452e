"""Intermediate encoders that a run keeps at given shares of its budget, besides the last one."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from radscale_lib.files import atomic_write
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.job import Job
from radscale_lib.study.model import kept_name

ENCODER = "encoder.safetensors"


class PassedError(PretrainError):
    """A run is already past a step at which the study now asks for an encoder."""


def kept_folder(folder: Path, share: float) -> Path:
    """The folder, below a run's, of its encoder at a share of the budget."""
    return folder / f"share={share:g}"


def kept_facts(job: Job, share: float) -> dict[str, Any]:
    """Fields of an encoder's card on the share of the budget that it has seen."""
    name = job.run.arm if share == 1 else kept_name(job.run.arm, share)
    return {"arm": name, "budget_share": share}


def seen(images: int, steps: int, batch: int) -> dict[str, Any]:
    """Fields of a run's card on the samples seen after a number of steps."""
    samples = steps * batch
    unique = min(images, samples)
    return {
        "samples_seen": samples,
        "steps": steps,
        "images": unique,
        "repeats_per_image": samples / unique,
    }


def check_passed(job: Job, folder: Path, step: int) -> None:
    """Check that a run continuing after a step has kept all encoders due by then.

    Raises:
        PassedError: if the study asked for fewer encoders when the run passed that step.
    """
    for share, at in job.kept.items():
        if at <= step and not (kept_folder(folder, share) / ENCODER).is_file():
            raise PassedError(
                f"arms.{job.run.arm}.keep: the run is at step {step}, past share {share:g} "
                f"(step {at}), which was added after it had passed: remove the share, or "
                f"delete {folder} to train from the start"
            )


def copy_kept(folder: Path, unfinished: Path, shares: Iterable[float]) -> Mapping[float, Path]:
    """Copy a run's kept encoders into folders of its unfinished output; return these."""
    places = {share: kept_folder(unfinished, share) for share in shares}
    for share, place in places.items():
        with atomic_write(place / ENCODER) as partial:
            shutil.copyfile(kept_folder(folder, share) / ENCODER, partial)
    return places
