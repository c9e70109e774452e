"""DINOv2's projection head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_lib.study.encoders.rad_dino import Head


class Prototypes(nn.Module):
    """A linear layer whose rows have a learnt length and a learnt direction.

    Parameters are named as by torch's original weight normalisation (arXiv 1602.07868), as in
    released heads.
    """

    def __init__(self, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(prototypes, 1))
        self.weight_v = nn.Parameter(nn.Linear(bottleneck, prototypes, bias=False).weight.detach())

    def forward(self) -> Tensor:
        """The rows [prototypes, bottleneck]."""
        return self.weight_g * F.normalize(self.weight_v, dim=1, eps=0.0)


class DinoHead(nn.Module):
    """Three linear layers, L2 normalisation, prototypes (arXiv 2104.14294, section 3.1).

    Parameter names are those of DINOv2's `DINOHead`: `mlp.0`, `mlp.2`, `mlp.4`, `last_layer`.
    """

    def __init__(self, width: int, config: Head) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.bottleneck),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last_layer = Prototypes(config.bottleneck, config.prototypes)

    def forward(self, x: Tensor) -> Tensor:
        """Project tokens [B, width] to unit vectors in the prototypes' space [B, bottleneck].

        Logits are the products with `prototypes`; those of all masked patches of a batch would not
        fit into memory at once (`losses.prototypes`).
        """
        return F.normalize(self.mlp(x), dim=-1, eps=1e-12)

    def prototypes(self) -> Tensor:
        """Prototypes [K, bottleneck]."""
        rows: Tensor = self.last_layer()
        return rows
