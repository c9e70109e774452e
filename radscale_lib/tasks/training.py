"""Training of a decoder on frozen features: seeded, with equal batches for every encoder."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from radscale_lib.digests import text_number
from radscale_lib.study.tasks import Decoder
from radscale_lib.tasks.progress import Progress

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


def train(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    images: int,
    decoder: Decoder,
    seed: int,
    label: str,
) -> None:
    """Fit the trainable parameters of a model: AdamW, one-cycle learning rate, clipped gradients.

    Args:
        model: left in evaluation mode.
        loss: loss of the training images with the given indices.
        images: number of training images.
        decoder: steps, batch and peak learning rate.
        seed: seed of the batches.
        label: what to call the work in progress lines.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=decoder.lr, betas=(0.9, 0.95), weight_decay=0.01, fused=True
    )
    # OneCycleLR divides by the length of its warm-up less one step.
    warmup = WARMUP if round(WARMUP * decoder.steps, 9) != 1 else 2 / decoder.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, decoder.lr, decoder.steps, pct_start=warmup, cycle_momentum=False
    )
    progress = Progress(label, decoder.steps, "steps")
    model.train()
    for step, chosen in enumerate(batches(images, decoder.batch, decoder.steps, seed), start=1):
        value = loss(chosen)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        progress.reach(step, value.detach())
    model.eval()
