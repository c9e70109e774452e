"""Assignments of tokens to prototypes and their cross-entropy, over any number of rows.

The logits of all masked patches of a batch over 65,536 prototypes take tens of gigabytes. They are
computed one chunk of rows at a time, as often as needed.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather, world_size

LOGITS = 2**26
"""Maximum number of logits held at a time: 256 MiB per buffer in float32."""


def rows_at_once(prototypes: int) -> int:
    """Number of rows of logits over this many prototypes held at a time."""
    return max(LOGITS // prototypes, 1)


class Assignments:
    """A teacher's assignments: softmax(logits / temperature - offsets), chunk by chunk.

    Attributes:
        chunks: the rows of each chunk, in order.
        offsets: float32 [K], subtracted from the logits of each prototype.
    """

    def __init__(self, tokens: Tensor, prototypes: Tensor, temperature: float) -> None:
        """Assign each token separately, without offsets.

        Args:
            tokens: [B, D] of this process; B may differ between processes, and be 0.
            prototypes: [K, D].
            temperature: the logits are divided by it.
        """
        self._tokens = tokens / temperature
        self._prototypes = prototypes
        step = rows_at_once(len(prototypes))
        starts = range(0, max(len(tokens), 1), step)
        self.chunks = [slice(start, min(start + step, len(tokens))) for start in starts]
        self.offsets = torch.zeros(len(prototypes), device=tokens.device)
        self._kept = self._computed(self.chunks[0]) if len(self.chunks) == 1 else None

    def __len__(self) -> int:
        return len(self._tokens)

    def logits(self, rows: slice) -> Tensor:
        """Logits, divided by the temperature, of one of the chunks: float32 [rows, K]."""
        return self._computed(rows) if self._kept is None else self._kept

    def __getitem__(self, rows: slice) -> Tensor:
        """Assignments of one of the chunks: float32 [rows, K], each row of which sums to 1."""
        return (self.logits(rows) - self.offsets).softmax(dim=1)

    def whole(self) -> Tensor:
        """All assignments, float32 [B, K]."""
        return torch.cat([self[rows] for rows in self.chunks])

    def _computed(self, rows: slice) -> Tensor:
        return F.linear(self._tokens[rows], self._prototypes).float()


@torch.no_grad()
def sinkhorn(
    tokens: Tensor, prototypes: Tensor, temperature: float, iterations: int = 3
) -> Assignments:
    """Sinkhorn-Knopp (SwAV, arXiv 2006.09882; DINOv2): all prototypes are used equally.

    Alternately gives every prototype (column) and every sample (row) the same total mass, over the
    global batch. Rows are a softmax, so only the factors of columns are kept, as offsets. The first
    factors are computed in the log domain, so that no logit overflows or underflows.

    Args:
        tokens: [B, D] of this process; B may differ between processes, and be 0.
        prototypes: [K, D].
        temperature: the logits are divided by it.
        iterations: pairs of normalisations.
    """
    assignments = Assignments(tokens, prototypes, temperature)
    columns = [assignments.logits(rows).logsumexp(dim=0) for rows in assignments.chunks]
    assignments.offsets = gather(torch.stack(columns).logsumexp(dim=0, keepdim=True)).logsumexp(0)
    for _ in range(iterations - 1):
        mass = torch.stack([assignments[rows].sum(dim=0) for rows in assignments.chunks]).sum(dim=0)
        if world_size() > 1:
            dist.all_reduce(mass)
        assignments.offsets = assignments.offsets + mass.log()
    return assignments


def cross_entropy(
    tokens: Tensor,
    prototypes: Tensor,
    targets: Iterable[Tensor],
    weights: Tensor,
    temperature: float,
) -> Tensor:
    """Weighted sum over rows of -sum_k t_k log softmax(tokens prototypes^T / temperature)_k.

    The gradient is computed along with the loss, chunk by chunk, so that no logits are kept.

    Args:
        tokens: [R, D].
        prototypes: [K, D].
        targets: targets of consecutive stretches of rows, [..., K] each; every row sums to 1.
        weights: float32 [R].
        temperature: the logits are divided by it.

    Returns:
        The loss, scalar, float32.
    """
    followed = torch.is_grad_enabled()
    wanted = [followed and each.requires_grad for each in (tokens, prototypes)]
    loss: Tensor = _CrossEntropy.apply(tokens, prototypes, targets, weights, temperature, wanted)
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        prototypes: Tensor,
        targets: Iterable[Tensor],
        weights: Tensor,
        temperature: float,
        wanted: list[bool],
    ) -> Tensor:
        loss = weights.new_zeros(())
        of_tokens = torch.zeros_like(tokens) if wanted[0] else None
        of_prototypes = torch.zeros_like(prototypes) if wanted[1] else None
        end = 0
        for target in targets:
            start, end = end, end + target.shape[:-1].numel()
            part, weight = tokens[start:end] / temperature, weights[start:end, None]
            logits = F.linear(part, prototypes).float().view(target.shape)
            logits = logits.log_softmax(dim=-1)
            entropies = -torch.linalg.vecdot(target, logits).view(-1)
            loss = loss + weight[:, 0] @ entropies
            change = logits.exp_().sub_(target).view(end - start, len(prototypes))
            if of_tokens is not None:
                of_tokens[start:end] = change @ prototypes * (weight / temperature)
            if of_prototypes is not None:
                of_prototypes += change.T @ (part * weight)
        ctx.save_for_backward(of_tokens, of_prototypes)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        found = (each if each is None else gradient * each for each in ctx.saved_tensors)
        return *found, None, None, None, None
