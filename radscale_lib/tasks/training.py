"""Training of a decoder on frozen features: seeded, with equal batches for every encoder."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from radscale_lib.adamw import AdamW
from radscale_lib.digests import text_number
from radscale_lib.progress import Progress
from radscale_lib.study.tasks import Decoder
from radscale_lib.tasks.finite import NotFiniteError

T = TypeVar("T")

AHEAD = 2
"""Batches that are read while one is learnt from."""
WARMUP = 0.1
"""Share of a decoder's steps over which its learning rate rises."""


def task_seed(seed: int, task: str) -> int:
    """Seed of a task's decoder, unrelated between tasks: BLAKE2b of both, 63 bits."""
    return text_number(f"{seed} {task}") >> 1


def batches(images: int, size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """Indices of each step's images: passes over all images, each in a new order.

    Yields:
        int64 [min(size, images)], `steps` times.
    """
    generator = torch.Generator().manual_seed(seed)
    size = min(size, images)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(order) < size:
            order = torch.cat([order, torch.randperm(images, generator=generator)])
        yield order[:size]
        order = order[size:]


def one_cycle(step: int, steps: int, peak: float) -> float:
    """Learning rate of a step, from 0: half a cosine up, half a cosine down (arXiv 1708.07120).

    The numbers are those of torch's `OneCycleLR`, which takes torch's own optimisers only.
    """
    # OneCycleLR divides by the length of its warm-up less one step.
    share = WARMUP if round(WARMUP * steps, 9) != 1 else 2 / steps
    top, low = share * steps - 1, peak / 25
    if step <= top:
        start, end, passed = low, peak, step / top
    else:
        start, end, passed = peak, low / 1e4, (step - top) / (steps - 1 - top)
    return end + (start - end) / 2 * (math.cos(math.pi * passed) + 1)


def ahead(chosen: Iterable[Tensor], read: Callable[[Tensor], T]) -> Iterator[T]:
    """What `read` gives for each of some batches, in order, read by a thread before it is needed.

    Args:
        chosen: indices of each batch.
        read: called by one thread, a batch at a time.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(1) as reader:
        try:
            for each in chosen:
                waiting.append(reader.submit(read, each))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def train(
    model: nn.Module,
    loss: Callable[[T], Tensor],
    images: int,
    decoder: Decoder,
    seed: int,
    label: str,
    read: Callable[[Tensor], T],
) -> None:
    """Fit the trainable parameters of a model: AdamW, one-cycle learning rate, clipped gradients.

    Args:
        model: left in evaluation mode.
        loss: loss of what `read` gives.
        images: number of training images.
        decoder: steps, batch and peak learning rate.
        seed: seed of the batches.
        label: what to call the work in progress lines.
        read: the training images with the given indices, in whatever form the loss takes; called
            by another thread, ahead of the loss.

    Raises:
        NotFiniteError: if the training diverged.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    group = {"params": parameters}
    optimiser = AdamW([group], decoder.lr, betas=(0.9, 0.95), weight_decay=0.01)
    progress = Progress(label, decoder.steps, "steps")
    model.train()
    chosen = batches(images, decoder.batch, decoder.steps, seed)
    for step, batch in enumerate(ahead(chosen, read), start=1):
        value = loss(batch)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.param_groups[0]["lr"] = one_cycle(step - 1, decoder.steps, decoder.lr)
        optimiser.step()
        progress.reach(step, value.detach())
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise NotFiniteError(f"{label}: its weights are not finite: lower decoder.lr")
    model.eval()
