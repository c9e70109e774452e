"""What every kind of encoder states about itself."""

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
    """How a stored image becomes a tower's square: resized, then cut or padded.

    Attributes:
        height: rows after the resize.
        width: columns after the resize.
        top: first row of the square; negative where the square begins above the image.
        left: first column of the square; negative where it begins beside the image.
    """

    height: int
    width: int
    top: int
    left: int


class EncoderSection(Section):
    """A kind of encoder: its architecture, its weights, and the facts that others ask for."""

    implementation: ClassVar[str]
    """Module with `build_tower(section)` and `read_release(section, path, load)`, or, where a
    library reads its own files, `import_release(section, path, headers_only)`; imported when torch
    is needed."""
    paradigms: ClassVar[tuple[str, ...]]
    """Paradigms that can train it; the first one's model is what a file of it holds."""
    weights_are: ClassVar[Literal["file", "folder", "either"]]
    """What released weights are on disk."""
    exports: ClassVar[Mapping[str, str]] = {"safetensors": "radscale_lib.hub.own"}
    """Forms for other libraries, and the module that writes each (`radscale_lib.hub`); the first is
    the one that `snakemake exports` makes. No result depends on them."""

    kind: str
    weights: Path | None

    only_trained: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of weights that training alone needs."""
    without_trained: ClassVar[str] = ""
    """What a message says where an arm lacks these."""
    spare: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of weights that some recipes train, and others leave behind."""

    def stored(self) -> Self:
        """The section as encoder files hold it: without the place of the weights it began from."""
        return self.model_copy(update={"weights": None})

    @property
    def described_by(self) -> Path | None:
        """The file or folder that states its architecture, where the study does not."""
        return None

    @property
    def has_weights(self) -> bool:
        """Whether the study says where its initial weights come from."""
        return self.weights is not None

    without_weights: ClassVar[str] = ""
    """What a message on missing weights adds: another way to have some."""

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
        """Grey value beside an image that does not fill the square."""
        return 0

    def resolved(self, known: "EncoderSection") -> Self:
        """This section with the facts that an encoder file of it knows, where it has none."""
        return self

    @property
    def learns_words(self) -> bool:
        """Whether training it from nothing learns a vocabulary, which travels in its files."""
        return False

    def place(self, height: int, width: int) -> Placement:
        """How a stored image of this size becomes the square input."""
        raise NotImplementedError

    def flops(self) -> float:
        """FLOPs of one forward pass of the image tower, two per multiply-add."""
        raise NotImplementedError

    def parameters(self) -> float:
        """About how many parameters an encoder file holds."""
        raise NotImplementedError

    def held_bytes(self, precision: str, recompute: bool) -> float | None:
        """About what the image tower holds of an image for its backward pass; None if unknown.

        Args:
            precision: `fp32` or `bf16`, as `compute.precision`.
            recompute: whether activations are recomputed in the backward pass.
        """
        return None

    def feature_numbers(self) -> float:
        """Numbers of the four feature levels of an image, about.

        Unless a kind knows better: those of a ViT of 12 blocks with as many parameters, in cells of
        14 pixels.
        """
        return 4.0 * sqrt(self.parameters() / 144) * (self.image_size / 14) ** 2

    def channels(self) -> float:
        """Channels of the deepest feature level, about: of a ViT of 12 blocks, as above."""
        return sqrt(self.parameters() / 144)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Settings that contradict each other, as key below the section, and message."""
        yield from ()
