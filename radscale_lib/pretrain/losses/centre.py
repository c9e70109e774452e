"""Centring of the teacher's assignments by a moving mean (DINO, arXiv 2104.14294, section 3.1)."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from radscale_lib.pretrain.distributed import world_size
from radscale_lib.pretrain.losses.prototypes import Assignments


class Centre(nn.Module):
    """Mean logits [K] over the batches so far, subtracted before assignment.

    The logits of a step update the mean at its end, so that all passes of a step, on all devices,
    share one mean.
    """

    mean: Tensor

    def __init__(self, prototypes: int, momentum: float) -> None:
        """Start from a mean of 0."""
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(prototypes))
        self.forget()

    def forget(self) -> None:
        """Begin a step, without any logits seen."""
        self._sum: Tensor | float = 0.0
        self._count = 0

    def forward(self, tokens: Tensor, prototypes: Tensor, temperature: float) -> Assignments:
        """Assignments of tokens [B, D] to prototypes [K, D]."""
        assignments = Assignments(tokens, prototypes, temperature)
        for rows in assignments.chunks:
            self._sum = self._sum + temperature * assignments.logits(rows).sum(dim=0)
        self._count += len(tokens)
        assignments.offsets = self.mean / temperature
        return assignments

    @torch.no_grad()
    def update(self) -> None:
        """Update the mean with the logits of all devices, if there are any and they are finite."""
        seen = torch.cat(
            [self._sum + torch.zeros_like(self.mean), self.mean.new_tensor([self._count])]
        )
        if world_size() > 1:
            dist.all_reduce(seen)
        if seen[-1] > 0 and seen.isfinite().all():
            self.mean.lerp_(seen[:-1] / seen[-1], 1 - self.momentum)
        self.forget()
