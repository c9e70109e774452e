"""How a film becomes the square input of a library's encoder, and its normalisation."""

from typing import Literal

from pydantic import Field

from radscale_lib.study.base import Section
from radscale_lib.study.encoders.base import Placement, Positive, Three

Resampling = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


class Input(Section):
    """The square input: resized, cropped or padded around the centre, then normalised."""

    size: int = Field(ge=8, description="Side of the square input, pixels.")
    resize: Literal["shorter", "longer", "both"] = Field(
        "shorter", description="Which sides are resized to 'resized'; the other keeps the ratio."
    )
    resized: int = Field(ge=8, description="What those sides are resized to, pixels.")
    resampling: Resampling = Field("bicubic", description="How pixels are resampled.")
    crop: Literal["rounded", "floored"] = Field(
        "rounded",
        description="How the square is placed if half a pixel is left over: at the "
        "even pixel, or rounded down.",
    )
    fill: int = Field(0, ge=0, le=255, description="Grey value beside a film in the square.")
    mean: Three = Field(description="Means subtracted from grey values in [0, 1], one per channel.")
    std: tuple[Positive, Positive, Positive] = Field(
        description="Standard deviations by which grey values are divided, one per channel."
    )

    def place(self, height: int, width: int) -> Placement:
        """How a stored image of this size becomes the square input."""
        rows, columns = self._resized(height, width)
        return Placement(rows, columns, self._corner(rows), self._corner(columns))

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize == "both":
            return self.resized, self.resized
        if self.resize == "longer":
            ratio = max(height, width) / self.resized
            return round(height / ratio), round(width / ratio)
        shorter = min(height, width)
        rows, columns = (
            self.resized if side == shorter else int(self.resized * side / shorter)
            for side in (height, width)
        )
        return rows, columns

    def _corner(self, side: int) -> int:
        if side < self.size:
            return -((self.size - side) // 2)
        half = (side - self.size) / 2
        return round(half) if self.crop == "rounded" else int(half)
