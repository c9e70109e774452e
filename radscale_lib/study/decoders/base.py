"""What every kind of decoder states about itself."""

from typing import ClassVar

from pydantic import Field

from radscale_lib.study.heads.base import HeadSection, Rates


class DecoderSection(HeadSection):
    """A kind of decoder, a head of segmentation: its settings, and the facts others ask for."""

    implementation: ClassVar[str]
    """Module with `build(section, channels, grid, outputs)`, an `nn.Module` that makes maps
    [B, outputs, grid, grid] of four levels [B, C, H, W]."""
    runs_encoder: ClassVar[bool] = True

    lr: Rates | None = Field(
        None,
        description="Peak learning rate, or a list of rates to try; null uses that of the task's "
        "decoder.",
    )
