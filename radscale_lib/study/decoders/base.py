"""The interface of decoder kinds."""

from typing import ClassVar

from pydantic import Field

from radscale_lib.study.heads.base import HeadSection, Rates


class DecoderSection(HeadSection):
    """A kind of decoder, a head of segmentation: its settings and facts."""

    implementation: ClassVar[str]
    """Module with `build(section, channels, grid, outputs)`, which returns an `nn.Module` from four
    levels [B, C, H, W] to maps [B, outputs, grid, grid]."""
    runs_encoder: ClassVar[bool] = True

    lr: Rates | None = Field(
        None,
        description="Peak learning rate, or a list of rates to try; null uses that of the task's "
        "decoder.",
    )
