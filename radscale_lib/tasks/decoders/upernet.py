"""UPerNet: the head from the package transformers on the four levels of a frozen encoder."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from transformers.models.upernet.configuration_upernet import UperNetConfig
from transformers.models.upernet.modeling_upernet import UperNetHead

from radscale_lib.study.decoders.upernet import UPerNet
from radscale_lib.tasks.decoders.base import pool


class Pool(nn.Module):
    """`AdaptiveAvgPool2d` whose gradient is deterministic on a GPU too."""

    def __init__(self, size: int) -> None:
        """Pool square maps to `size` cells a side."""
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C, size, size] from [B, C, H, H]."""
        return pool(maps, self.size)


def build(section: UPerNet, channels: Sequence[int], grid: int, outputs: int) -> nn.Module:
    """The decoder's body; arguments as for `linear.build`."""
    config = UperNetConfig(hidden_size=section.width)
    config.num_labels = outputs
    make: Any = UperNetHead  # untyped
    head: nn.Module = make(config, list(channels))
    blocks: Any = head.get_submodule("psp_modules").blocks
    for size, block in zip(config.pool_scales, blocks, strict=True):
        block.layers[0] = Pool(size)
        block.add_module("0", block.layers[0])
    return head
