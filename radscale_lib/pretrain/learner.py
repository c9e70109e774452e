"""The interface between the training loop and a paradigm."""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, TypedDict

import torch
from torch import Tensor, nn

from radscale_lib.pretrain.distributed import gather
from radscale_lib.pretrain.watch import effective_rank

Batch = dict[str, Tensor]


class Group(TypedDict):
    """Parameters that share factors of the schedule's learning rate and weight decay.

    Their names are those of `encoder.safetensors`.
    """

    names: list[str]
    params: list[nn.Parameter]
    lr_scale: float
    decay_scale: float


class Learner(nn.Module):
    """A model with its loss; its state is all that a checkpoint must hold."""

    described: ClassVar[tuple[str, ...]] = ()
    """Names of the values of `describe`; the card has their means as `texts`."""
    watching: bool = False
    """Whether the step is logged: `forward` then reports more, and records embeddings."""

    def __init__(self) -> None:
        """Start without any embeddings."""
        super().__init__()
        self._noted: list[Tensor] = []
        self._rounding = 0.0

    def passes(self, batch: Batch, count: int, reseed: Callable[[int], None]) -> list[Batch]:
        """Cut this process's share of a step into batches, one per pass.

        Args:
            batch: the share, pass by pass.
            count: number of passes.
            reseed: sets torch's generator to its state at the start of a pass.

        Returns:
            Batches for `forward`; the mean of their losses is the step's loss.
        """
        raise NotImplementedError

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Losses of a pass: `loss`, which is minimised, and its parts."""
        raise NotImplementedError

    def towers(self, name: str) -> list[nn.Module]:
        """Towers with a name, such as `image` or `text`, also of the average or teacher."""
        named = self.named_modules()
        return [module for path, module in named if path.partition(".")[2] == name]

    def describe(self, batch: Batch) -> dict[str, Tensor]:
        """Values for the log on a step's batch besides the losses; the same on all processes."""
        return {}

    def note(self, embeddings: Tensor) -> None:
        """Record embeddings [B, D] of a pass for the log, if the step is logged."""
        if self.watching:
            self._noted.append(embeddings.detach())
            coarse = torch.is_autocast_enabled(embeddings.device.type)
            kind = torch.bfloat16 if coarse else embeddings.dtype
            self._rounding = torch.finfo(kind).eps

    def watch(self) -> dict[str, Tensor]:
        """Values for the log on a step's embeddings, which are dropped; the same on all processes.

        `rank`: their effective rank over the global batch; absent for one-dimensional embeddings.
        """
        noted, self._noted = self._noted, []
        if not noted or noted[0].shape[1] == 1:
            return {}
        return {"rank": effective_rank(gather(torch.cat(noted)), self._rounding)}

    @property
    def kept_tower(self) -> nn.Module | None:
        """The image tower whose weights are kept, [B, 1, S, S] -> [B, D]; None if there is none."""
        return None

    def groups(self) -> list[Group]:
        """Parameters to optimise."""
        raise NotImplementedError

    def weight_decay(self, step: int) -> float:
        """Weight decay of a step."""
        raise NotImplementedError

    def before_update(self, step: int) -> None:
        """Called once gradients are computed, before clipping and the optimiser's step."""

    def after_update(self, step: int) -> None:
        """Called after the optimiser's step, or in its place if it was skipped."""

    def encoder(self) -> dict[str, Tensor]:
        """The weights to keep, by name in `encoder.safetensors`."""
        raise NotImplementedError


def group(
    parameters: dict[str, nn.Parameter], scales: dict[str, float], undecayed: set[str]
) -> list[Group]:
    """Group parameters by learning-rate factor and weight decay.

    Args:
        parameters: by name.
        scales: learning-rate factor by name.
        undecayed: names of further parameters without weight decay; vectors and scalars (norms,
            biases, scales) never decay.
    """
    groups: dict[tuple[float, bool], Group] = {}
    for name, parameter in parameters.items():
        decays = parameter.ndim > 1 and name not in undecayed
        key = scales[name], decays
        if key not in groups:
            groups[key] = Group(names=[], params=[], lr_scale=key[0], decay_scale=float(decays))
        groups[key]["names"].append(name)
        groups[key]["params"].append(parameter)
    return list(groups.values())


_BLOCK = re.compile(r"(?:^|\.)(?:stages?|layers?|blocks|resblocks)[._]?(\d+)(?=\.)")


def layer_scales(names: Sequence[str], decay: float) -> dict[str, float]:
    """Learning-rate factors of a tower's weights, decreasing from the last block to the first.

    Blocks are recognised by names such as `blocks.3.` or `stages.1.blocks.0.`. Weights after the
    last block have factor 1, the last block `decay`, the one before it `decay`², and so on; weights
    before the first block have one more power of `decay` than it.

    Args:
        names: names of the tower's weights, in layer order.
        decay: factor from each block to the one below.
    """
    blocks = [tuple(_BLOCK.findall(name)) for name in names]
    order = [block for block in dict.fromkeys(blocks) if block]
    level = {block: len(order) - place for place, block in enumerate(order)}
    first = next((place for place, block in enumerate(blocks) if block), 0)
    around = [decay ** (len(order) + 1) if place < first else 1.0 for place in range(len(names))]
    return {
        name: decay ** level[block] if block else outside
        for name, block, outside in zip(names, blocks, around, strict=True)
    }


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average of weights: average = decay * average + (1 - decay) * model.

    Buffers, such as the running means of a library's model, are copied from the model.
    """
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
    for kept, buffer in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)
