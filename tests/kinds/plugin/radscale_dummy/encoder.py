"""An encoder: means of the image over grids of cells, times a learnt gain. Its facts."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.encoders.base import Placement


class MeanEncoder(EncoderSection):
    """Means over cells."""

    implementation: ClassVar[str] = "radscale_dummy.tower"
    paradigms: ClassVar[tuple[str, ...]] = ("brightness",)
    weights_are: ClassVar[Literal["file", "folder"]] = "file"

    kind: Literal["mean"]
    side: int = Field(32, ge=8, description="Side of the square input, pixels.")
    weights: Path | None = Field(None, description="Released weights.")

    @property
    def image_size(self) -> int:
        return self.side

    def place(self, height: int, width: int) -> Placement:
        return Placement(self.side, self.side, 0, 0)

    def flops(self) -> float:
        return float(self.side**2)

    def parameters(self) -> float:
        return 4.0
