"""SigLIP: every pair of an image and a text is a yes-or-no question of its own."""

import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather


def siglip_loss(
    images: Tensor, texts: Tensor, log_scale: Tensor, bias: Tensor, ids: Tensor
) -> Tensor:
    """Pairwise sigmoid loss (arXiv 2303.15343, eq. 1) with several positives.

    With S = exp(log_scale) u v^T + bias over the global batch of B pairs, it is the sum over all i
    and j of -log sigmoid(z_ij S_ij), divided by B, where z_ij is 1 if id_i = id_j and -1 if not.

    Args:
        images: image embeddings of this process [B, D], any norm.
        texts: text embeddings [B, D], any norm.
        log_scale: logarithm of the inverse temperature, scalar.
        bias: added to every logit, scalar.
        ids: int64 [B]; pairs with equal ids are positives of each other.

    Returns:
        The loss, scalar, float32, the same on every process.
    """
    u = gather(F.normalize(images.float(), dim=-1))
    v = gather(F.normalize(texts.float(), dim=-1))
    everyone = gather(ids)
    signs = 2 * (everyone[:, None] == everyone[None, :]).float() - 1
    logits = log_scale.float().exp() * u @ v.T + bias.float()
    return -F.logsigmoid(signs * logits).sum() / len(u)
