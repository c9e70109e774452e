"""Centring of the teacher's assignments (SwAV, arXiv 2006.09882; DINOv2, arXiv 2304.07193)."""

import torch
from torch import Tensor

from radscale_lib.pretrain.distributed import gather


@torch.no_grad()
def sinkhorn(logits: Tensor, temperature: float, iterations: int = 3) -> Tensor:
    """Sinkhorn-Knopp: prototypes are used equally over the global batch.

    Alternately gives every prototype (column), then every sample (row), the same total mass. The
    first pair is done in the log domain, so that no logit overflows or underflows. After it, every
    row and column has an entry of at least 1 / (B K), and the others are safe without logarithms.

    Args:
        logits: [B, K] of this process; B may differ between processes, and be 0.
        temperature: the logits are divided by it.
        iterations: pairs of normalisations.

    Returns:
        Assignments float32 [B, K]; each row sums to 1.
    """
    q = logits.float() / temperature
    q -= gather(q.logsumexp(dim=0, keepdim=True)).logsumexp(dim=0)
    q -= q.logsumexp(dim=1, keepdim=True)
    q.exp_()
    for _ in range(iterations - 1):
        q /= gather(q.sum(dim=0, keepdim=True)).sum(dim=0)
        q /= q.sum(dim=1, keepdim=True)
    return q
