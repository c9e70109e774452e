"""Pyramid decoder: levels of one width, summed on the finest grid and mixed by one convolution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from radscale_lib.study.decoders.pyramid import PyramidDecoder
from radscale_lib.tasks.decoders.base import resize


class Pyramid(nn.Module):
    """Feature pyramid (Lin et al. 2017), kept shallow so that the score measures the encoder.

    Nothing larger than the finest grid is convolved.
    """

    def __init__(self, channels: Sequence[int], grid: int, width: int, outputs: int) -> None:
        """Build the pyramid.

        Args:
            channels: channels of the four levels.
            grid: side of the finest grid.
            width: channels of the pyramid.
            outputs: channels of the maps.
        """
        super().__init__()
        self.grid = grid
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.mix = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )
        self.maps = nn.Conv2d(width, outputs, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Maps [B, outputs, grid, grid] from four levels [B, C, H, W]."""
        summed = torch.stack(
            [
                resize(lateral(level), self.grid)
                for lateral, level in zip(self.lateral, levels, strict=True)
            ]
        ).sum(0)
        maps: Tensor = self.maps(self.mix(summed))
        return maps


def build(section: PyramidDecoder, channels: Sequence[int], grid: int, outputs: int) -> nn.Module:
    """The decoder's body; arguments as for `linear.build`."""
    return Pyramid(channels, grid, section.width, outputs)
