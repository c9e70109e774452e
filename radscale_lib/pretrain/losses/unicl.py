"""UniCL: contrastive learning in image-text-label space."""

import torch
import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather
from radscale_lib.pretrain.losses.pairs import Pairs


def unicl_loss(images: Tensor, texts: Tensor, log_scale: Tensor, pairs: Pairs) -> Tensor:
    """Bidirectional contrastive loss with several positives (arXiv 2204.03610, eq. 3 to 5).

    With S = exp(log_scale) u v^T over the global batch, it is half of SoftCE(S) + SoftCE(S^T),
    where SoftCE averages over rows the mean of -log softmax(S_i)_j over the positives j of row i.
    The softmax is over positives and negatives: what is neither has no part. With no positive but
    a pair itself, and all others negative, it is CLIP's InfoNCE (arXiv 2103.00020).

    Args:
        images: image embeddings of this process [B, D], any norm.
        texts: text embeddings [B, D], any norm.
        log_scale: logarithm of the inverse temperature, scalar.
        pairs: relations over the global batch.

    Returns:
        The loss, scalar, float32 whatever the autocast, the same on every process.
    """
    with torch.autocast(images.device.type, enabled=False):
        u = gather(F.normalize(images.float(), dim=-1))
        v = gather(F.normalize(texts.float(), dim=-1))
        logits = log_scale.float().exp() * u @ v.T
        return (_soft_cross_entropy(logits, pairs) + _soft_cross_entropy(logits.T, pairs)) / 2


def _soft_cross_entropy(logits: Tensor, pairs: Pairs) -> Tensor:
    neither = ~(pairs.positive | pairs.negative)
    log_shares = logits.masked_fill(neither, float("-inf")).log_softmax(dim=1)
    targets = pairs.positive / pairs.positive.sum(dim=1, keepdim=True)
    return -(targets * log_shares.masked_fill(neither, 0)).sum(dim=1).mean()
