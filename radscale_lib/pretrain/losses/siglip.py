"""SigLIP: every image-text pair is a separate binary classification."""

import torch
import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather
from radscale_lib.pretrain.losses.pairs import Pairs, sum_over_rows


def siglip_loss(
    images: Tensor, texts: Tensor, log_scale: Tensor, bias: Tensor, pairs: Pairs
) -> Tensor:
    """Pairwise sigmoid loss (arXiv 2303.15343, eq. 1) with several positives.

    With S = exp(log_scale) u v^T + bias over the global batch of B pairs, it is the sum of
    -log sigmoid(S_ij) over positives and of -log sigmoid(-S_ij) over negatives, divided by B.

    Args:
        images: image embeddings of this process [B, D], any norm.
        texts: text embeddings [B, D], any norm.
        log_scale: logarithm of the inverse temperature, scalar.
        bias: added to every logit, scalar.
        pairs: relations of this process's pairs to all.

    Returns:
        The mean over this process's images, scalar, float32 even under autocast; the mean over
        processes is the loss.
    """

    def cross_entropy(scaled: Tensor, pairs: Pairs) -> Tensor:
        signs = pairs.positive.float() - pairs.negative.float()
        return -(signs.abs() * F.logsigmoid(signs * (scaled + bias.float()))).sum()

    with torch.autocast(images.device.type, enabled=False):
        u, v = F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1)
        scale = log_scale.float().exp()
        return sum_over_rows(cross_entropy, scale * u, gather(v), pairs) / len(u)
