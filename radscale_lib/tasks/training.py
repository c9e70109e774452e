"""Train a decoder on frozen features: seeded, with the same batches for every encoder."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from radscale_lib.adamw import AdamW
from radscale_lib.digests import text_number
from radscale_lib.progress import Progress
from radscale_lib.study.tasks import Decoder
from radscale_lib.tasks.choice import chosen
from radscale_lib.tasks.finite import NotFiniteError

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

AHEAD = 2
"""Number of batches read ahead."""
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
    """Learning rate of a step, from 0: a half-cosine up, a half-cosine down (arXiv 1708.07120).

    The values are those of torch's `OneCycleLR`, which accepts only torch's own optimisers.
    """
    # OneCycleLR divides by the length of its warm-up minus one step.
    share = WARMUP if round(WARMUP * steps, 9) != 1 else 2 / steps
    top, low = share * steps - 1, peak / 25
    if step <= top:
        start, end, passed = low, peak, step / top
    else:
        start, end, passed = peak, low / 1e4, (step - top) / (steps - 1 - top)
    return end + (start - end) / 2 * (math.cos(math.pi * passed) + 1)


def ahead(chosen: Iterable[Tensor], read: Callable[[Tensor], T]) -> Iterator[T]:
    """The results of `read` for each batch, in order, read ahead by a thread.

    Args:
        chosen: indices of each batch.
        read: called by a single thread, one batch at a time.
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


@dataclass
class Least:
    """The lowest validation loss so far, and its weights.

    Attributes:
        step: step after which it was found.
        waited: number of losses since then.
    """

    loss: float = math.inf
    step: int = 0
    waited: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    def check(self, step: int, loss: float, model: nn.Module) -> None:
        """Keep a model's weights if its loss is the lowest so far."""
        self.waited += 1
        if loss < self.loss:
            self.loss, self.step, self.waited = loss, step, 0
            self.state = {name: value.detach().clone() for name, value in _learnt(model)}

    @torch.no_grad()
    def restore(self, model: nn.Module) -> None:
        """Restore the kept weights in a model."""
        for name, value in _learnt(model):
            value.copy_(self.state[name])


def _learnt(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors that training changes: parameters with a gradient, and buffers."""
    yield from ((name, each) for name, each in model.named_parameters() if each.requires_grad)
    yield from model.named_buffers()


def search(
    make: Callable[[], M],
    loss: Callable[[M, T], Tensor],
    images: int,
    decoder: Decoder,
    seed: int,
    label: str,
    read: Callable[[Tensor], T],
    validate: Callable[[M], float] | None,
) -> tuple[M, float, str]:
    """Train a model at each learning rate; return the one with the lowest validation loss.

    Args:
        make: returns a model with its initial weights, the same each time.
        loss: loss of a model on the result of `read`.
        images: number of training images.
        decoder: its settings.
        seed: seed of the batches, which are the same at each rate.
        label: what to call the work in progress lines.
        read: as for `train`.
        validate: loss of a model on the validation split, in evaluation mode; None if there is
            nothing to choose.

    Returns:
        The model in evaluation mode, its rate, and a description of the choice, empty if there was
        none.

    Raises:
        NotFiniteError: if the training diverged at every rate.
    """
    every = max(1, decoder.steps // decoder.checks) if decoder.checks else decoder.steps
    best: tuple[M, float, Least] | None = None
    fault: NotFiniteError | None = None
    for rate in decoder.rates:
        model = make()
        checked = None if validate is None else partial(validate, model)
        what = f"{label} ({rate:g})" if len(decoder.rates) > 1 else label
        try:
            least = train(
                model, partial(loss, model), images, decoder, seed, what, read, rate, checked, every
            )
        except NotFiniteError as error:
            fault = error
            continue
        if best is None or least.loss < best[2].loss:
            best = model, rate, least
    if best is None:
        assert fault is not None
        raise fault
    model, rate, least = best
    notes = [chosen("rate", rate, decoder.rates)] if len(decoder.rates) > 1 else []
    if decoder.patience is not None:
        notes.append(chosen("steps", least.step, (every, decoder.steps)))
    return model, rate, "; ".join(notes)


def train(
    model: nn.Module,
    loss: Callable[[T], Tensor],
    images: int,
    decoder: Decoder,
    seed: int,
    label: str,
    read: Callable[[Tensor], T],
    rate: float | None = None,
    validate: Callable[[], float] | None = None,
    every: int = 1,
) -> Least:
    """Fit the trainable parameters of a model: AdamW, one-cycle learning rate, clipped gradients.

    Args:
        model: left in evaluation mode.
        loss: loss of what `read` gives.
        images: number of training images.
        decoder: steps, batch and peak learning rate.
        seed: seed of the batches.
        label: what to call the work in progress lines.
        read: reads the training images with the given indices in the form that the loss takes;
            called by another thread, ahead of the loss.
        rate: peak learning rate; None: the first of the decoder's.
        validate: loss on the validation split, by which the model's weights are chosen and training
            ends (`decoder.patience`); None: the last weights are kept.
        every: steps between two validation losses.

    Returns:
        The lowest validation loss; infinite if there is none.

    Raises:
        NotFiniteError: if the training diverged.
    """
    rate = decoder.rates[0] if rate is None else rate
    parameters = [p for p in model.parameters() if p.requires_grad]
    group = {"params": parameters}
    optimiser = AdamW([group], rate, betas=(0.9, 0.95), weight_decay=0.01)
    progress = Progress(label, decoder.steps, "steps")
    least = Least()
    model.train()
    chosen_images = batches(images, decoder.batch, decoder.steps, seed)
    for step, batch in enumerate(ahead(chosen_images, read), start=1):
        value = loss(batch)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.param_groups[0]["lr"] = one_cycle(step - 1, decoder.steps, rate)
        optimiser.step()
        progress.reach(step, value.detach())
        if validate and (step % every == 0 or step == decoder.steps):
            model.eval()
            least.check(step, validate(), model)
            model.train()
            if decoder.patience is not None and least.waited >= decoder.patience:
                break
    if least.state:
        least.restore(model)
    finite = validate is None or math.isfinite(least.loss)
    if not finite or not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise NotFiniteError(f"{label}: its weights are not finite: lower decoder.lr")
    model.eval()
    return least
