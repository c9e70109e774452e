"""Linear decoder: one linear map of each level's cells, summed on the finest grid."""

from collections.abc import Sequence

from torch import Tensor, nn

from radscale_lib.study.decoders.linear import LinearDecoder
from radscale_lib.tasks.decoders.base import resize


class Linear(nn.Module):
    """Maps of the finest grid that are linear in the standardised features of all levels."""

    def __init__(self, channels: Sequence[int], grid: int, outputs: int) -> None:
        """Build the maps; arguments as for `build`."""
        super().__init__()
        self.grid = grid
        self.maps = nn.ModuleList(nn.Conv2d(c, outputs, 1) for c in channels)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Maps [B, outputs, grid, grid] from four levels [B, C, H, W]."""
        first, *others = (
            resize(one(level), self.grid) for one, level in zip(self.maps, levels, strict=True)
        )
        for other in others:
            first = first + other
        return first


def build(section: LinearDecoder, channels: Sequence[int], grid: int, outputs: int) -> nn.Module:
    """The decoder's body.

    Args:
        section: its settings.
        channels: of the four levels.
        grid: side of the finest.
        outputs: channels of the maps.
    """
    return Linear(channels, grid, outputs)
