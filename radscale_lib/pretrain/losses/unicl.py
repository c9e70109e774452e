"""UniCL: contrastive learning in image-text-label space."""

import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather


def unicl_loss(images: Tensor, texts: Tensor, log_scale: Tensor, ids: Tensor) -> Tensor:
    """Bidirectional contrastive loss with several positives (arXiv 2204.03610, eq. 3 to 5).

    With S = exp(log_scale) u v^T over the global batch and M_ij = [id_i = id_j], it is half of
    SoftCE(S, M) + SoftCE(S^T, M), where SoftCE averages over rows the mean of -log softmax(S_i)_j
    over the positives j of row i. With distinct ids it is CLIP's InfoNCE (arXiv 2103.00020).

    Args:
        images: image embeddings of this process [B, D], any norm.
        texts: text embeddings [B, D], any norm.
        log_scale: logarithm of the inverse temperature, scalar.
        ids: int64 [B]; pairs with equal ids are positives of each other.

    Returns:
        The loss, scalar, float32, the same on every process.
    """
    u = gather(F.normalize(images.float(), dim=-1))
    v = gather(F.normalize(texts.float(), dim=-1))
    everyone = gather(ids)
    positives = (everyone[:, None] == everyone[None, :]).float()
    positives = positives / positives.sum(dim=1, keepdim=True)
    logits = log_scale.float().exp() * u @ v.T
    return (_soft_cross_entropy(logits, positives) + _soft_cross_entropy(logits.T, positives)) / 2


def _soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
