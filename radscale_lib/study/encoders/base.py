"""The interface of encoder kinds."""

from collections.abc import Iterator, Mapping
from math import sqrt
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field

from radscale_lib.study.base import Section

Four = tuple[
    Annotated[int, Field(ge=1)],
    Annotated[int, Field(ge=1)],
    Annotated[int, Field(ge=1)],
    Annotated[int, Field(ge=1)],
]
Three = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class Placement(NamedTuple):
    """How a stored image becomes a tower's square: resized, then cropped or padded.

    Attributes:
        height: rows after the resize.
        width: columns after the resize.
        top: first row of the square; negative if the square begins above the image.
        left: first column of the square; negative if it begins left of the image.
    """

    height: int
    width: int
    top: int
    left: int


class EncoderSection(Section):
    """A kind of encoder: its architecture, its weights, and its facts."""

    implementation: ClassVar[str]
    """Module with `build_tower(section)` and `read_release(section, path, load)` or, if a library
    reads its own files, `import_release(section, path, headers_only)`; imported when torch is
    needed."""
    paradigms: ClassVar[tuple[str, ...]]
    """Paradigms that can train it; its file holds the model of the first one."""
    weights_are: ClassVar[Literal["file", "folder", "either"]]
    """The form of released weights on disk."""
    exports: ClassVar[Mapping[str, str]] = {"safetensors": "radscale_lib.hub.own"}
    """Forms for other libraries, and the module that writes each (`radscale_lib.hub`); `snakemake
    exports` writes the first one. No result depends on them."""

    kind: str
    weights: Path | None

    only_trained: ClassVar[tuple[str, ...]] = ()
    """Name prefixes of weights that only training needs."""
    without_trained: ClassVar[str] = ""
    """Part of the message if an arm lacks these."""
    spare: ClassVar[tuple[str, ...]] = ()
    """Name prefixes of weights that some recipes train and others drop."""

    def stored(self) -> Self:
        """The section as stored in encoder files: without the path of its initial weights."""
        return self.model_copy(update={"weights": None})

    @property
    def described_by(self) -> Path | None:
        """The file or folder that states its architecture if the study does not."""
        return None

    @property
    def has_weights(self) -> bool:
        """Whether the study gives its initial weights."""
        return self.weights is not None

    without_weights: ClassVar[str] = ""
    """Addition to a message on missing weights: another way to get some."""

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        raise NotImplementedError

    @property
    def resampling(self) -> str:
        """How images are resampled: one of Pillow's filters."""
        return "bicubic"

    @property
    def fill(self) -> int:
        """Grey value of padding beside an image that does not fill the square."""
        return 0

    def resolved(self, known: "EncoderSection") -> Self:
        """This section, with facts it lacks filled in from an encoder file."""
        return self

    @property
    def learns_words(self) -> bool:
        """Whether training it from scratch learns a vocabulary, which its files then contain."""
        return False

    def place(self, height: int, width: int) -> Placement:
        """How a stored image of this size becomes the square input."""
        raise NotImplementedError

    def flops(self) -> float:
        """FLOPs of one forward pass of the image tower, two per multiply-add."""
        raise NotImplementedError

    def parameters(self) -> float:
        """Approximate number of parameters in an encoder file."""
        raise NotImplementedError

    def held_bytes(self, precision: str, recompute: bool) -> float | None:
        """Approximate bytes per image that the image tower holds for backward; None if unknown.

        Args:
            precision: `fp32` or `bf16`, as in `compute.precision`.
            recompute: whether activations are recomputed in the backward pass.
        """
        return None

    def feature_numbers(self) -> float:
        """Approximate number of values in the four feature levels of an image.

        By default those of a ViT with 12 blocks, the same number of parameters, and cells of 14
        pixels.
        """
        return 4.0 * sqrt(self.parameters() / 144) * (self.image_size / 14) ** 2

    def channels(self) -> float:
        """Approximate channels of the deepest feature level: those of a ViT of 12 blocks."""
        return sqrt(self.parameters() / 144)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Settings that contradict each other: key below the section, and message."""
        yield from ()
