"""What the training loop needs of a paradigm."""

from collections.abc import Callable
from typing import TypedDict

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]


class Group(TypedDict):
    """Parameters that share a learning rate and a weight decay, as factors of the schedule's."""

    params: list[nn.Parameter]
    lr_scale: float
    decay_scale: float


class Learner(nn.Module):
    """A model under training with its loss; its state is all that a checkpoint must hold."""

    def passes(self, batch: Batch, count: int, reseed: Callable[[int], None]) -> list[Batch]:
        """Cut this process's share of a step into the batches of its passes.

        Args:
            batch: the share, pass by pass.
            count: number of passes.
            reseed: sets torch's generator to the state that it has at the start of a pass.

        Returns:
            Batches for `forward`; the mean of their losses is the step's loss.
        """
        raise NotImplementedError

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Losses of a pass: `loss`, whose gradient is followed, and its parts."""
        raise NotImplementedError

    def groups(self) -> list[Group]:
        """Parameters to optimise."""
        raise NotImplementedError

    def weight_decay(self, step: int) -> float:
        """Weight decay of a step."""
        raise NotImplementedError

    def before_update(self, step: int) -> None:
        """Called when gradients are there, before they are clipped and followed."""

    def after_update(self, step: int) -> None:
        """Called after the optimiser's step, or in its place if it was skipped."""

    def encoder(self) -> dict[str, Tensor]:
        """Weights to keep, by their names in `encoder.safetensors`."""
        raise NotImplementedError


def group(
    parameters: dict[str, nn.Parameter], scales: dict[str, float], undecayed: set[str]
) -> list[Group]:
    """Group parameters by learning-rate factor and by whether they decay.

    Args:
        parameters: by name.
        scales: learning-rate factor by name.
        undecayed: names without weight decay, besides vectors and scalars (norms, biases, scales).
    """
    groups: dict[tuple[float, bool], Group] = {}
    for name, parameter in parameters.items():
        decays = parameter.ndim > 1 and name not in undecayed
        key = scales[name], decays
        if key not in groups:
            groups[key] = Group(params=[], lr_scale=key[0], decay_scale=float(decays))
        groups[key]["params"].append(parameter)
    return list(groups.values())


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average: average = decay * average + (1 - decay) * model."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
