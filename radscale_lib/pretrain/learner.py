"""What the training loop needs of a paradigm."""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, TypedDict

import torch
from torch import Tensor, nn

from radscale_lib.pretrain.distributed import gather
from radscale_lib.pretrain.watch import effective_rank

Batch = dict[str, Tensor]


class Group(TypedDict):
    """Parameters that share a learning rate and a weight decay, as factors of the schedule's.

    Their names are those of `encoder.safetensors`.
    """

    names: list[str]
    params: list[nn.Parameter]
    lr_scale: float
    decay_scale: float


class Learner(nn.Module):
    """A model under training with its loss; its state is all that a checkpoint must hold."""

    described: ClassVar[tuple[str, ...]] = ()
    """What `describe` gives; the card has its means as `texts`."""
    watching: bool = False
    """Whether the step is one that is logged: `forward` then reports more, and notes embeddings."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        super().__init__()
        self._noted: list[Tensor] = []
        self._rounding = 0.0

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

    def towers(self, name: str) -> list[nn.Module]:
        """Its towers of a name, such as `image` or `text`, and those of its average or teacher."""
        named = self.named_modules()
        return [module for path, module in named if path.partition(".")[2] == name]

    def describe(self, batch: Batch) -> dict[str, Tensor]:
        """What the log says of a step's batch besides the losses, the same on every process."""
        return {}

    def note(self, embeddings: Tensor) -> None:
        """Note embeddings [B, D] of a pass, for the log, if the step is logged."""
        if self.watching:
            self._noted.append(embeddings.detach())
            coarse = torch.is_autocast_enabled(embeddings.device.type)
            kind = torch.bfloat16 if coarse else embeddings.dtype
            self._rounding = torch.finfo(kind).eps

    def watch(self) -> dict[str, Tensor]:
        """What the log says of a step's embeddings, which it forgets; the same on every process.

        `rank`: their effective rank over the global batch; none of embeddings of one number.
        """
        noted, self._noted = self._noted, []
        if not noted or noted[0].shape[1] == 1:
            return {}
        return {"rank": effective_rank(gather(torch.cat(noted)), self._rounding)}

    @property
    def kept_tower(self) -> nn.Module | None:
        """The image tower whose weights are kept, [B, 1, S, S] -> [B, D]; None if not stated."""
        return None

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
            groups[key] = Group(names=[], params=[], lr_scale=key[0], decay_scale=float(decays))
        groups[key]["names"].append(name)
        groups[key]["params"].append(parameter)
    return list(groups.values())


_BLOCK = re.compile(r"(?:^|\.)(?:stages?|layers?|blocks|resblocks)[._]?(\d+)(?=\.)")


def layer_scales(names: Sequence[str], decay: float) -> dict[str, float]:
    """Learning-rate factors of a tower's weights, which shrink from its last block to its first.

    Blocks are recognised by names such as `blocks.3.` or `stages.1.blocks.0.`. What follows the
    last has 1, the last block `decay`, and so on down; what precedes the first has one power more
    than it.

    Args:
        names: of the tower's weights, in the order of its layers.
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

    Buffers, such as the running means of a library's model, are the model's.
    """
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
    for kept, buffer in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)
