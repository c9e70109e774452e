"""Layers of both image towers, with timm's parameter names, initial weights and results.

The towers are implemented here because a library of all vision models takes longer to import than
torch itself: timm loads torchvision, which loads torch's compiler.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

FIRST_WEIGHTS_SD = 0.02


@torch.no_grad()
def draw_weights(tensor: Tensor) -> None:
    """Fill a tensor from a normal distribution around 0, truncated at 100 standard deviations."""
    if tensor.is_meta:  # nothing to fill; torch would load its compiler to find that out
        return
    tensor.uniform_(-1, 1).erfinv_().mul_(FIRST_WEIGHTS_SD * 2**0.5).clamp_(-2, 2)


def draw_linear_weights(module: nn.Module) -> None:
    """Initialise a linear layer; other modules are not changed."""
    if isinstance(module, nn.Linear):
        draw_weights(module.weight)
        nn.init.zeros_(module.bias)


def run(layer: Callable[..., Tensor], recompute: bool, *inputs: object) -> Tensor:
    """layer(*inputs); if `recompute`, its activations are recomputed in the backward pass.

    Its random draws are then repeated identically.
    """
    if not (recompute and torch.is_grad_enabled()):
        return layer(*inputs)
    again: Tensor = checkpoint(layer, *inputs, use_reentrant=False)
    return again


class Mlp(nn.Module):
    """Two linear layers with GELU in between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        x = self.fc2(self.act(self.fc1(x)))
        return x


class Attention(nn.Module):
    """Multi-head self-attention with a joint query, key and value projection.

    Attributes:
        heads: number of heads.
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention [B, N, D] -> [B, N, D] before its output projection."""
        q, k, v = self.split(x)
        context = nn.functional.scaled_dot_product_attention(q, k, v)
        return context.transpose(1, 2).reshape(x.shape)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, heads, N, D / heads] of [B, N, D]."""
        # Split along the channels, so that gradients are merged in one copy.
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.view(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in parts)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        x = self.proj(self.attend(x))
        return x
