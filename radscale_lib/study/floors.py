"""Floors: scores without pretraining, for comparison."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.encoders import Encoder, EncoderSection
from radscale_lib.study.encoders.base import Four, Placement

FloorKind = Literal["random", "pixels"]
FILM_COMPONENTS = 64
"""Number of principal components of the whole film, the global embedding."""
CELL_COMPONENTS = 16
"""Number of principal components of each cell's pixels, on the grid of each level."""
FILM_SIDE = 64
"""Maximum number of pixels to which the whole film is reduced."""


class Pixels(EncoderSection):
    """Principal components of the pixels of a film, on the square and grids of an encoder."""

    implementation: ClassVar[str] = "radscale_lib.encoders.pixels"
    paradigms: ClassVar[tuple[str, ...]] = ()
    weights_are: ClassVar[Literal["file", "folder", "either"]] = "file"

    kind: Literal["pixels"] = "pixels"
    like: Encoder = Field(description="The encoder whose input square and grids it shares.")
    grids: Four | None = Field(None, description="Cells per side, for each level.")
    weights: None = None

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.like.image_size

    @property
    def resampling(self) -> str:
        """How images are resampled: one of Pillow's filters."""
        return self.like.resampling

    @property
    def fill(self) -> int:
        """Grey value of padding beside an image that does not fill the square."""
        return self.like.fill

    def place(self, height: int, width: int) -> Placement:
        """How a stored image of this size becomes the square input."""
        return self.like.place(height, width)

    def flops(self) -> float:
        """FLOPs per image: every pixel times every component, on four levels."""
        return 2.0 * 4 * CELL_COMPONENTS * 512**2

    def feature_numbers(self) -> float:
        """Maximum number of values in the four feature levels of an image."""
        return self.like.feature_numbers()

    def channels(self) -> float:
        """Channels of the deepest feature level."""
        return float(CELL_COMPONENTS)

    def parameters(self) -> float:
        """Size of the components of the film and of cells."""
        return FILM_COMPONENTS * float(FILM_SIDE) ** 2 + 4 * CELL_COMPONENTS * 32.0**2
