"""UniCL: contrastive learning in image-text-label space."""

import torch
import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather
from radscale_lib.pretrain.losses.pairs import Pairs, sum_over_rows


def unicl_loss(images: Tensor, texts: Tensor, log_scale: Tensor, pairs: Pairs) -> Tensor:
    """Bidirectional contrastive loss with several positives (arXiv 2204.03610, eq. 3 to 5).

    With S = exp(log_scale) u v^T over the global batch, it is half of SoftCE(S) + SoftCE(S^T),
    where SoftCE averages over rows the mean of -log softmax(S_i)_j over the positives j of row i.
    The softmax is over positives and negatives; pairs that are neither are left out. If each pair
    is its own only positive and all others are negatives, it is CLIP's InfoNCE (arXiv 2103.00020).

    Args:
        images: image embeddings of this process [B, D], any norm.
        texts: text embeddings [B, D], any norm.
        log_scale: logarithm of the inverse temperature, scalar.
        pairs: relations of this process's pairs to all.

    Returns:
        The mean over this process's rows, scalar, float32 even under autocast; the mean over
        processes is the loss.
    """
    with torch.autocast(images.device.type, enabled=False):
        u, v = F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1)
        scale = log_scale.float().exp()
        rows = sum_over_rows(_soft_cross_entropy, scale * u, gather(v), pairs)
        columns = sum_over_rows(_soft_cross_entropy, scale * v, gather(u), pairs)
        return (rows + columns) / (2 * len(u))


def _soft_cross_entropy(logits: Tensor, pairs: Pairs) -> Tensor:
    """Soft cross-entropy of logits [B, G], summed over rows."""
    neither = ~(pairs.positive | pairs.negative)
    sums = logits.masked_fill(neither, float("-inf")).logsumexp(dim=1)
    means = (pairs.positive * logits).sum(dim=1) / pairs.positive.sum(dim=1)
    return (sums - means).sum()
