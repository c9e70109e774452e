"""The training loop: the same for every paradigm, device and number of processes."""

import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from radscale_lib.adamw import AdamW
from radscale_lib.pretrain.checkpoint import (
    FolderOwnership,
    Progress,
    checkpoints,
    keep_good,
    load_checkpoint,
    load_good,
    save_checkpoint,
    save_good,
)
from radscale_lib.pretrain.distributed import World, average, largest
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.schedules import warmup_cosine
from radscale_lib.pretrain.signals import StopRequest, ignore_stop_requests, stop_requests
from radscale_lib.pretrain.spikes import MOST_IN_A_ROW, is_spike
from radscale_lib.pretrain.tuning import tuned
from radscale_lib.pretrain.watch import LogRow, Onlookers, device_facts
from radscale_lib.study.compute import Compute
from radscale_lib.study.paradigms import OptimiserConfig

BAD_STEPS = 2
"""Consecutive steps without a finite gradient that are skipped; one more ends the run."""
LOGGED_STEPS = 100
"""Approximate number of rows in a run's log."""
LOW_STEPS = 3
"""Consecutive logged steps that look collapsed and end the run."""


class DivergedError(PretrainError):
    """Training that will not recover."""


class CollapsedError(DivergedError):
    """Embeddings that hardly depend on the image."""

    status = "collapsed"


class StoppedError(SystemExit):
    """A stop signal arrived and the state is saved; the exit code is 128 + the signal's number."""


class Trainer:
    """Trains a learner for its whole budget, continuing from the newest checkpoint if any."""

    def __init__(
        self,
        learner: Learner,
        batches: Dataset[dict[str, Tensor]],
        optimiser: OptimiserConfig,
        compute: Compute,
        world: World,
        seed: int,
        folder: Path,
        workers: int = 0,
        after: Mapping[int, Callable[[], None]] | None = None,
        onlookers: Onlookers | None = None,
    ) -> None:
        """Prepare to train.

        Args:
            learner: the model with its loss, on the device.
            batches: item `step` is this process's share of the step's batch.
            optimiser: the study's optimiser settings; all are for the global batch.
            compute: precision, and time between checkpoints.
            world: this process's rank in the run.
            seed: the run's seed, which also seeds the stochastic depth of each step.
            folder: for checkpoints.
            workers: number of processes that load data; with 0, data is loaded between steps.
            after: callbacks of the leading process after given numbers of steps; a run that
                continues from an earlier step calls them again.
            onlookers: measurements and reports of the leading process during training.
        """
        self.learner = learner.train()
        self.optimiser = optimiser
        self.compute = compute
        self.world = world
        self.seed = seed
        self.folder = folder
        self.after = after or {}
        self.onlookers = onlookers or Onlookers()
        self.ownership = FolderOwnership(folder) if world.leads else None
        self.adamw = AdamW(
            tuned(learner.groups(), optimiser), optimiser.lr, betas=(0.9, optimiser.beta2)
        )
        self.progress = load_checkpoint(folder, learner, self.adamw, world.device)
        self.progress.started = self.progress.started or now()
        self._first_step = self.progress.step
        self._saved_good = self.progress.good
        self._has_checkpoint = bool(checkpoints(folder))
        self._model: nn.Module = learner
        if world.size > 1:
            self._model = DistributedDataParallel(learner, broadcast_buffers=False)
        self._batches = DataLoader(
            batches,
            batch_size=None,
            sampler=range(self.progress.step, optimiser.steps),
            num_workers=workers,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=ignore_stop_requests,
            pin_memory=world.device.type == "cuda",
        )

    def run(self) -> Progress:
        """Train to the end of the budget.

        Raises:
            DivergedError: after three steps in a row without a finite gradient.
            CollapsedError: if the embeddings have collapsed.
            StoppedError: on SIGTERM or SIGUSR1, with a checkpoint saved.
        """
        progress = self.progress
        saved = ticked = time.monotonic()
        with stop_requests() as request:
            for batch in self._batches:
                batch = self.to_device(batch)
                self.learner.watching = self._is_logged(progress.step + 1)
                losses = self._step(batch)
                tick = time.monotonic()
                progress.step += 1
                progress.samples += self.optimiser.batch
                progress.seconds += tick - ticked
                ticked = tick
                healthy = self._log(losses, batch)
                self._keep_good()
                if self.ownership and progress.step in self.after:
                    self.ownership.check()
                    self.after[progress.step]()
                # A collapsed state must not replace the last good one.
                due = tick - saved > 60 * self.compute.checkpoint_minutes and not progress.low
                if self._checkpoint(request, due or (healthy and not self._has_checkpoint)):
                    saved = time.monotonic()
        if progress.samples != self.optimiser.samples:
            raise RuntimeError(
                f"{progress.samples} samples seen instead of the budget, {self.optimiser.samples}"
            )
        return progress

    @property
    def advanced(self) -> bool:
        """Whether this attempt completed any step; if not, another attempt would do no better."""
        return self.progress.step > self._first_step

    def to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch on this process's device."""
        return {name: x.to(self.world.device, non_blocking=True) for name, x in batch.items()}

    def _step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        step, steps = self.progress.step, self.optimiser.steps
        rate = self.optimiser.lr * warmup_cosine(step, steps, self.optimiser.warmup)
        decay = self.learner.weight_decay(step)
        for group in self.adamw.param_groups:
            group["lr"] = rate * group["lr_scale"]
            group["weight_decay"] = decay * group["decay_scale"]
        self.adamw.zero_grad()
        losses = self.backward(batch)
        self.learner.before_update(step)
        norm = self._clip()
        losses["grad_norm"] = norm.detach()
        spike = self._spikes(float(average(losses["loss"].detach())))
        # The gradient norm is the same on all processes; the loss is not.
        finite = bool(torch.isfinite(norm))
        self.progress.bad_steps = 0 if finite else self.progress.bad_steps + 1
        then = self.optimiser.spikes.then
        follow = finite and not (spike and then != "count")
        if follow:
            self.adamw.step()
        else:
            self.progress.skipped += 1
        if self.progress.bad_steps > BAD_STEPS:
            raise DivergedError(
                f"no finite gradient in {self.progress.bad_steps} steps in a row, up to step "
                f"{step + 1} of {steps}: lower optimiser.lr or optimiser.clip"
            )
        if spike and then == "roll-back" and self.progress.good:
            good = self.progress.good
            load_good(self.folder, self.learner, self.adamw, good, self.world.device)
        else:
            self.learner.after_update(step)
        return losses

    def _spikes(self, loss: float) -> bool:
        """Whether a step's loss is a spike by the study's rule; the same on all processes."""
        progress, rule = self.progress, self.optimiser.spikes
        if not math.isfinite(loss):
            return False
        if is_spike(loss, progress.losses, rule):
            progress.spikes += 1
            progress.spikes_in_a_row += 1
            if progress.spikes_in_a_row <= MOST_IN_A_ROW:
                return True
            progress.losses = []
        progress.spikes_in_a_row = 0
        progress.losses = [*progress.losses, loss][-rule.window :]
        return False

    def _keep_good(self) -> None:
        """Keep a state to return to after a spike, at steps that depend only on the study."""
        progress, rule = self.progress, self.optimiser.spikes
        every = max(rule.window, self.optimiser.steps // LOGGED_STEPS)
        quiet = not (progress.spikes_in_a_row or progress.bad_steps)
        if rule.then == "roll-back" and quiet and progress.step % every == 0:
            progress.good = progress.step
            if self.ownership:
                self.ownership.check()
                save_good(self.folder, self.learner, self.adamw, progress.good)
                # An attempt that continues from the last checkpoint needs the good state of that
                # time.
                keep_good(self.folder, progress.good, self._saved_good)

    def _clip(self) -> Tensor:
        """Clip the gradient's norm; return the norm before clipping, over all parameters."""
        if not self.optimiser.clip_each:
            return nn.utils.clip_grad_norm_(self.learner.parameters(), self.optimiser.clip)
        parts: dict[str, list[nn.Parameter]] = {}
        for group in self.adamw.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                parts.setdefault(name.partition(".")[0], []).append(parameter)
        norms = [nn.utils.clip_grad_norm_(part, self.optimiser.clip) for part in parts.values()]
        total: Tensor = torch.stack(norms).square().sum().sqrt()
        return total

    def backward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Accumulate the gradient of a step's loss; return the losses, averaged over passes."""
        count, step = self.optimiser.passes, self.progress.step
        losses: list[dict[str, Tensor]] = []
        with self._autocast():
            parts = self.learner.passes(batch, count, self._reseed)
        for number, part in enumerate(parts):
            self._reseed(number)
            with self._synchronised(number == count - 1):
                with self._autocast():
                    losses.append(self._model(part, step))
                (losses[-1]["loss"] / count).backward()  # type: ignore[no-untyped-call]
        return {
            name: torch.stack([part[name].detach() for part in losses]).mean() for name in losses[0]
        }

    def _reseed(self, number: int) -> None:
        """Seed torch's generator, from which stochastic depth draws, for a pass.

        The seed depends on the step, so that a resumed run draws the same, and on the process, so
        that processes draw differently.
        """
        place = self.seed * self.optimiser.steps + self.progress.step
        place = place * self.optimiser.passes + number
        torch.manual_seed(place * self.world.size + self.world.rank)

    def _autocast(self) -> torch.autocast:
        bf16 = self.compute.precision == "bf16"
        return torch.autocast(self.world.device.type, torch.bfloat16, enabled=bf16)

    def _synchronised(self, last: bool) -> AbstractContextManager[None]:
        """Have processes add up their gradients only once per step, in the last pass."""
        if isinstance(self._model, DistributedDataParallel) and not last:
            return self._model.no_sync()
        return nullcontext()

    def _is_logged(self, step: int) -> bool:
        """Whether this step, counted from 1, is logged."""
        steps = self.optimiser.steps
        regular = step % max(steps // LOGGED_STEPS, 1) == 0 or step == steps
        return regular or step in self.onlookers.probed

    def _log(self, losses: dict[str, Tensor], batch: dict[str, Tensor]) -> bool:
        """Log a step if it is due.

        Returns:
            Whether it was logged and looked healthy.

        Raises:
            CollapsedError: if it was the last of several consecutive steps that looked collapsed.
        """
        progress, steps = self.progress, self.optimiser.steps
        if not self._is_logged(progress.step):
            return False
        values = {name: float(average(loss.detach())) for name, loss in losses.items()}
        facts = self.learner.describe(batch) | self.learner.watch()
        speed = progress.samples / progress.seconds
        row = {
            "step": progress.step,
            "samples": progress.samples,
            **values,
            **{name: float(fact) for name, fact in facts.items()},
            "spikes": progress.spikes,
            "skipped": progress.skipped,
            "lr": max(group["lr"] for group in self.adamw.param_groups),
            "images_per_second": speed,
            **device_facts(
                self.world.device,
                self.compute.precision,
                progress.flops_per_sample,
                speed,
                self.world.size,
            ),
        }
        if self.world.leads and self.onlookers.probe and progress.step in self.onlookers.probed:
            found = self.onlookers.probe()
            row |= {} if math.isnan(found) else {"knn": found}
        progress.log.append(row)
        if self.world.leads:
            parts = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
            left = (self.optimiser.samples - progress.samples) / speed
            print(
                f"step {progress.step}/{steps}  {parts}  lr {progress.log[-1]['lr']:.2e}  "
                f"{speed:.0f} images/s  {_duration(left)} left",
                file=sys.stderr,
                flush=True,
            )
            self.onlookers.tell(row)
        return self._is_healthy(row)

    def _is_healthy(self, row: LogRow) -> bool:
        """Whether the embeddings of a logged step have not collapsed.

        Raises:
            CollapsedError: if several consecutive steps indicate that they have.
        """
        progress, steps, bounds = self.progress, self.optimiser.steps, self.optimiser.collapse
        watched = {"rank": bounds.rank, "kl": bounds.divergence}
        watched = {name: bound for name, bound in watched.items() if name in row}
        if not watched or progress.step <= self.optimiser.warmup * steps:
            return False
        low = [f"{name} {row[name]:.3g}" for name, bound in watched.items() if row[name] < bound]
        progress.low = progress.low + 1 if low else 0
        if progress.low >= LOW_STEPS:
            kept = checkpoints(self.folder)
            where = f"; {kept[-1].name} is from before that" if kept else ""
            raise CollapsedError(
                f"collapsed: {' and '.join(low)} at step {progress.step} of {steps}, below "
                f"optimiser.collapse for {LOW_STEPS} logged steps: the embeddings hardly depend on "
                f"the image: lower optimiser.lr, or see in the log when it began{where}"
            )
        return not low

    def _checkpoint(self, request: StopRequest, due: bool) -> bool:
        """Save if a checkpoint is due or a stop was requested, on all processes; then stop."""
        stop = largest(request.number, self.world)
        due = bool(largest(int(due), self.world))
        if not (stop or due):
            return False
        if self.ownership:
            self.ownership.check()
            save_checkpoint(self.folder, self.learner, self.adamw, self.progress)
        self._saved_good, self._has_checkpoint = self.progress.good, True
        if stop:
            raise StoppedError(128 + stop)
        return True


def now() -> str:
    """Local time, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
