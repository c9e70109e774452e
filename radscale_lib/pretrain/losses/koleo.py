"""KoLeo: spread features over the sphere."""

import torch
import torch.nn.functional as F
from torch import Tensor

from radscale_lib.pretrain.distributed import gather


def koleo_loss(features: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Kozachenko-Leonenko entropy estimator (arXiv 1806.03198, eq. 5): -mean log nearest distance.

    Computed in float32 even under autocast, whose rounding would matter, and over the global batch,
    so that one image per device is not a special case.

    Args:
        features: [B, D] of this process, any norm.
        epsilon: keeps equal features finite.

    Returns:
        The loss, scalar, the same on every process.

    Raises:
        ValueError: if the global batch has fewer than two images.
    """
    with torch.autocast(features.device.type, enabled=False):
        x = gather(F.normalize(features.float(), dim=-1, eps=epsilon))
        if len(x) < 2:
            raise ValueError("KoLeo needs two images or more: raise optimiser.batch")
        with torch.no_grad():
            nearest = (x @ x.T).fill_diagonal_(-1).argmax(dim=1)
        return -(F.pairwise_distance(x, x[nearest], eps=epsilon) + epsilon).log().mean()
