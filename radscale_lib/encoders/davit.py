"""MI2's image tower: DaViT (arXiv 2204.03645) as used by MedImageInsight."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_lib.encoders.features import Features, Tower
from radscale_lib.encoders.layers import Attention, Mlp, draw_linear_weights, run
from radscale_lib.study.encoders.mi2 import Mi2


class DavitTower(Tower):
    """DaViT with overlapping downsampling (kernel 3) and channel attention scaled by N.

    Parameters, initial weights and results are those of timm's `DaVit` with `down_kernel_size=3`
    and `channel_attn_v2=True`. The pooled output is the mean over the last stage, then a LayerNorm.
    """

    encoder: Mi2

    def __init__(self, encoder: Mi2) -> None:
        super().__init__()
        config = encoder.image
        self.stem = Stem(config.dims[0])
        depths = list(config.depths)
        rates = torch.linspace(0, config.drop_path, sum(depths), device="cpu")
        drops = torch.split(rates, depths)
        widths = [0, *config.dims]  # the stem outputs the first stage's
        self.stages = nn.Sequential(*(
            Stage(narrow, wide, heads, config.window, drop.tolist())
            for narrow, wide, heads, drop in zip(
                widths, config.dims, config.heads, drops, strict=False
            )
        ))  # fmt: skip
        self.head = nn.ModuleDict({"norm": ChannelNorm(config.dims[-1])})
        self.apply(draw_linear_weights)
        self.encoder = encoder

    @property
    def width(self) -> int:
        """Channels of the global embedding."""
        return self.encoder.image.dims[-1]

    def recompute(self) -> None:
        """Recompute activations in backward passes, block by block."""
        for stage in self.stages:
            cast(Stage, stage).recomputes = True

    def compile_blocks(self) -> None:
        """Compile the blocks, each for its own shape."""
        for module in self.stages.modules():
            if isinstance(module, Block):
                module.compile(dynamic=False)

    def forward(self, images: Tensor) -> Tensor:
        """Global embedding [B, D] of grey images, float32 [B, 1, S, S] in [0, 1]."""
        return self._pooled(self.stages(self.stem(self._normalised(images))))

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        x = self.stem(self._normalised(images))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        first, second, third, fourth = levels
        return Features(self._pooled(x), (first, second, third, fourth))

    def _pooled(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.head["norm"](F.adaptive_avg_pool2d(x, 1)).flatten(1)
        return pooled

    def _normalised(self, images: Tensor) -> Tensor:
        """[B, 1, S, S] -> [B, 3, S, S]: one grey channel, normalised for each input channel."""
        config = self.encoder.image
        mean, std = (
            images.new_tensor(values).view(3, 1, 1) for values in (config.mean, config.std)
        )
        return (images - mean) / std


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a map [B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Stem(nn.Module):
    """Overlapping patches of an image, at stride 4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, kernel_size=7, stride=4, padding=3)
        self.norm = ChannelNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, C, S / 4, S / 4], rounded up."""
        height, width = x.shape[2:]
        x = self.norm(self.conv(F.pad(x, (0, -width % 4, 0, -height % 4))))
        return x


class Downsample(nn.Module):
    """Halve the size and increase the channels."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(narrow)
        self.conv = nn.Conv2d(narrow, wide, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H / 2, W / 2], rounded up."""
        x = self.conv(self.norm(x))
        return x


class Stage(nn.Module):
    """Pairs of a spatial and a channel attention block, after downsampling."""

    def __init__(
        self, narrow: int, wide: int, heads: int, window: int, drop_path: list[float]
    ) -> None:
        """Build a stage; if `narrow` is None, the map keeps its size and channels."""
        super().__init__()
        self.recomputes = False
        self.downsample = Downsample(narrow, wide) if narrow else nn.Identity()
        self.blocks = nn.Sequential(*(
            nn.Sequential(OrderedDict([
                ("spatial_block", Block(wide, partial(WindowAttention, window, heads), rate)),
                ("channel_block", Block(wide, partial(ChannelAttention, heads), rate)),
            ]))
            for rate in drop_path
        ))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W']."""
        x = self.downsample(x)
        for pair in self.blocks.children():
            for block in pair.children():
                x = run(block, self.recomputes, x)
        return x


class Block(nn.Module):
    """Attention and an MLP, each residual, after a depthwise convolution that encodes positions."""

    def __init__(self, width: int, attention: Callable[[int], Attention], drop_path: float) -> None:
        super().__init__()
        self.cpe1 = Positions(width)
        self.norm1 = nn.LayerNorm(width)
        self.attn = attention(width)
        self.cpe2 = Positions(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        shape = x.shape
        x = self.cpe1(x).flatten(2).transpose(1, 2)
        x = x + self._kept(self.attn(self.norm1(x), shape[2:]))
        x = self.cpe2(x.transpose(1, 2).view(shape)).flatten(2).transpose(1, 2)
        x = x + self._kept(self.mlp(self.norm2(x)))
        return x.transpose(1, 2).view(shape)

    def _kept(self, residual: Tensor) -> Tensor:
        """Stochastic depth: drop the residuals of some images in training."""
        if not (self.training and self.drop_path):
            return residual
        keep = 1 - self.drop_path
        return residual * residual.new_empty(len(residual), 1, 1).bernoulli_(keep).div_(keep)


class Positions(nn.Module):
    """Conditional position encoding: an added depthwise convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        x = x + self.proj(x)
        return x


class WindowAttention(Attention):
    """Self-attention within square windows of a map."""

    def __init__(self, window: int, heads: int, width: int) -> None:
        super().__init__(heads, width)
        self.window = window

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """[B, H * W, C] -> [B, H * W, C], where `size` is H and W."""
        batch, _, width = x.shape
        (rows, columns), side = size, self.window
        x = x.view(batch, rows, columns, width)
        x = F.pad(x, (0, 0, 0, -columns % side, 0, -rows % side))
        down, across = x.shape[1] // side, x.shape[2] // side
        x = x.view(batch, down, side, across, side, width).permute(0, 1, 3, 2, 4, 5)
        q, k, v = self.split(x.reshape(-1, side * side, width))
        x = F.scaled_dot_product_attention(q, k, v)
        # Windows and heads are merged in one copy, before the output projection.
        x = x.view(batch, down, across, self.heads, side, side, -1).permute(0, 1, 4, 2, 5, 3, 6)
        x = x.reshape(batch, down * side, across * side, width)[:, :rows, :columns]
        x = self.proj(x.reshape(batch, rows * columns, width))
        return x


class ChannelAttention(Attention):
    """Self-attention between the channels of a map, with positions as features."""

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """[B, H * W, C] -> [B, H * W, C]; `size` is not used."""
        q, k, v = self.split(x)
        weights = ((q * x.shape[1] ** -0.5).transpose(-1, -2) @ k).softmax(dim=-1)
        context = (weights @ v.transpose(-1, -2)).transpose(-1, -2)
        x = self.proj(context.transpose(1, 2).reshape(x.shape))
        return x
