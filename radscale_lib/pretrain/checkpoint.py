"""Checkpoints: everything a run needs to continue as if it had never stopped.

Sample order, augmentation and stochastic depth are functions of the seed and the step, so the step
replaces every random state.
"""

import re
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from radscale_lib.adamw import AdamW
from radscale_lib.files import atomic_write
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.watch import LogRow


@dataclass
class Progress:
    """How far a run is, beyond the weights.

    Attributes:
        step: optimiser steps completed.
        samples: samples seen.
        seconds: time spent training, without start-up, over all attempts.
        started: when the first attempt started, ISO 8601.
        resumed: how often the run continued from a checkpoint.
        bad_steps: consecutive steps without a finite gradient.
        skipped: steps whose update was skipped, for whatever reason.
        losses: losses of the last steps that were not spikes.
        spikes: number of loss spikes.
        spikes_in_a_row: the current number of consecutive spikes.
        good: step of the state to restore after a spike; 0 for none.
        low: consecutive logged steps that looked collapsed.
        flops_per_sample: counted once per run.
        log: logged rows.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    started: str = ""
    resumed: int = 0
    bad_steps: int = 0
    skipped: int = 0
    losses: list[float] = field(default_factory=list)
    spikes: int = 0
    spikes_in_a_row: int = 0
    good: int = 0
    low: int = 0
    flops_per_sample: float | None = None
    log: list[LogRow] = field(default_factory=list)


class SupersededError(SystemExit):
    """A newer attempt of the run has taken over its folder."""


class FolderOwnership:
    """The latest attempt owns a run's folder.

    A scheduler that loses a node starts the run elsewhere, while the lost attempt may still be
    running: this is how that attempt notices that it must stop writing.
    """

    def __init__(self, folder: Path) -> None:
        """Take over a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "owner"
        self._name = uuid.uuid4().hex
        with atomic_write(self._path) as partial:
            partial.write_text(self._name)

    def check(self) -> None:
        """Check that this attempt still owns the folder.

        Raises:
            SupersededError: if a newer attempt has taken it over.
        """
        if self._path.read_text() != self._name:
            raise SupersededError(
                f"{self._path.parent}: a newer attempt of this run has taken over"
            )


def save_checkpoint(folder: Path, learner: Learner, optimiser: AdamW, progress: Progress) -> None:
    """Write `checkpoint-<step>.pt`, then delete older ones and good states no longer needed."""
    path = folder / f"checkpoint-{progress.step}.pt"
    state = {
        "learner": learner.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": asdict(progress),
    }
    with atomic_write(path) as partial:
        torch.save(state, partial)
    for older in checkpoints(folder):
        if older != path:
            older.unlink()
    keep_good(folder, progress.good)


def save_good(folder: Path, learner: Learner, optimiser: AdamW, step: int) -> None:
    """Write `good-<step>.pt`: weights and moments, to return to after a spike."""
    state = {"learner": learner.state_dict(), "optimiser": optimiser.state_dict()}
    with atomic_write(folder / f"good-{step}.pt") as partial:
        torch.save(state, partial)


def load_good(
    folder: Path, learner: Learner, optimiser: AdamW, step: int, device: torch.device
) -> None:
    """Restore the weights and moments of `good-<step>.pt`."""
    state = torch.load(folder / f"good-{step}.pt", map_location=device, weights_only=True)
    learner.load_state_dict(state["learner"])
    optimiser.load_state_dict(state["optimiser"])


def keep_good(folder: Path, *steps: int) -> None:
    """Delete a folder's good states except those of the given steps."""
    for path in good_states(folder):
        if path.name not in {f"good-{step}.pt" for step in steps}:
            path.unlink()


def good_states(folder: Path) -> list[Path]:
    """Good states of a folder."""
    return sorted(folder.glob("good-*.pt"))


def load_checkpoint(
    folder: Path, learner: Learner, optimiser: AdamW, device: torch.device
) -> Progress:
    """Restore the newest checkpoint of a folder; without one, return a new run's progress."""
    found = checkpoints(folder)
    if not found:
        return Progress()
    state = torch.load(found[-1], map_location=device, weights_only=True)
    learner.load_state_dict(state["learner"])
    optimiser.load_state_dict(state["optimiser"])
    progress = Progress(**state["progress"])
    progress.resumed += 1
    return progress


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first."""
    named = (
        (int(match[1]), path)
        for path in folder.glob("checkpoint-*.pt")
        if (match := re.fullmatch(r"checkpoint-(\d+)\.pt", path.name))
    )
    return [path for _, path in sorted(named)]
