"""Centring of the teacher's assignments (SwAV, arXiv 2006.09882; DINOv2, arXiv 2304.07193)."""

import torch
import torch.distributed as dist
from torch import Tensor

from radscale_lib.pretrain.distributed import world_size


@torch.no_grad()
def sinkhorn(logits: Tensor, temperature: float, iterations: int = 3) -> Tensor:
    """Sinkhorn-Knopp in the log domain: prototypes are used equally over the global batch.

    Alternately gives every prototype (column), then every sample (row), the same total mass. In
    the log domain no logit overflows, where the usual form turns non-finite.

    Args:
        logits: [B, K] of this process; B may differ between processes, and be 0.
        temperature: the logits are divided by it.
        iterations: pairs of normalisations.

    Returns:
        Assignments float32 [B, K]; each row sums to 1.
    """
    log_q = logits.float() / temperature
    for _ in range(iterations):
        log_q = log_q - _logsumexp_of_samples(log_q)
        log_q = log_q - log_q.logsumexp(dim=1, keepdim=True)
    return log_q.exp()


def _logsumexp_of_samples(log_q: Tensor) -> Tensor:
    own = log_q.logsumexp(dim=0)
    if world_size() == 1:
        return own
    parts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(parts, own)
    return torch.stack(parts).logsumexp(dim=0)
