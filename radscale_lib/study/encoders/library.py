"""Encoders built by libraries: common parts, and facts known from files without the library."""

import json
from functools import lru_cache
from math import prod, sqrt
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from radscale_lib.study.encoders.base import EncoderSection, Placement
from radscale_lib.study.encoders.input import Input

PARAMETERS = 86e6
"""Assumed number of parameters of an encoder without weights: a ViT-B's."""
CELL = 16
"""Assumed side of a token in pixels, for an encoder whose files do not say."""
LONGEST_HEADER = 2**27
"""Maximum size of a safetensors file's header, bytes."""
SIDE = 224
"""Assumed side of the square input in pixels, for an encoder whose files do not say."""


class UnknownFactError(ValueError):
    """A fact that is not in an encoder's files and needs the import of its library."""


class LibraryEncoder(EncoderSection):
    """An encoder built by a library, and its input.

    A study may omit `input`: then the library's own is used, and written to the encoder file when
    the weights are imported. Before that, facts come from the configuration beside the weights, if
    any.
    """

    weights_are: ClassVar[Literal["file", "folder", "either"]] = "either"
    without_weights: ClassVar[str] = ", or give 'random', a seed of random weights"
    more_facts: ClassVar[tuple[str, ...]] = (
        "radscale_lib.study.encoders.input",
        "radscale_lib.study.encoders.library",
    )

    kind: str
    weights: Path | None = Field(None, description="Local weights: nothing is downloaded.")
    random: int | None = Field(
        None,
        ge=0,
        description="Seed of random weights, if there are none to load; null refuses an encoder "
        "without weights.",
    )
    resolution: int | None = Field(
        None, ge=8, description="Side of the square input, pixels; null: as published."
    )
    input: Input | None = Field(
        None, description="Resize, crop and normalisation; null: as published."
    )

    def stored(self) -> Self:
        """The section unchanged: code that came with the weights may be needed again."""
        return self

    @property
    def described_by(self) -> Path | None:
        """The file or folder that states its architecture, where the study does not."""
        return self.weights

    @property
    def has_weights(self) -> bool:
        """Whether the study says where its initial weights come from."""
        return self.weights is not None or self.random is not None

    @property
    def known_input(self) -> Input | None:
        """Resize, crop and normalisation, if the study or a file beside the weights states it."""
        return self.input

    @property
    def cell(self) -> int | None:
        """Side of a token in pixels, if a file says so."""
        return None

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self._input().size

    def place(self, height: int, width: int) -> Placement:
        """How a stored image of this size becomes the square input."""
        return self._input().place(height, width)

    @property
    def resampling(self) -> str:
        """How images are resampled."""
        return self._input().resampling

    @property
    def fill(self) -> int:
        """Grey value beside an image that does not fill the square."""
        return self._input().fill

    def _input(self) -> Input:
        known = self.known_input
        if known is None:
            raise UnknownFactError(
                f"a {self.kind} encoder's input is known once its weights are imported: give "
                "'input' in the study to state it"
            )
        return known

    def flops(self) -> float:
        """Approximate: each parameter is used once per token, two FLOPs per multiply-add."""
        known = self.known_input
        side = known.size if known else self.resolution or SIDE
        return 2 * self.parameters() * (side / (self.cell or CELL)) ** 2

    def feature_numbers(self) -> float:
        """Number of values in the four feature levels, approximately those of a 12-block ViT."""
        known = self.known_input
        side = known.size if known else self.resolution or SIDE
        return 4.0 * sqrt(self.parameters() / 144) * (side / (self.cell or CELL)) ** 2

    def parameters(self) -> float:
        """Number of parameters by the weights' headers or size; otherwise those of a ViT-B."""
        if self.weights is None or not self.weights.exists():
            return PARAMETERS
        return counted(self.weights) or PARAMETERS

    def resolved(self, known: EncoderSection) -> Self:
        """This section with input and architecture from an encoder file."""
        assert isinstance(known, type(self))
        learnt = {
            name: value
            for name, value in known.__dict__.items()
            if value is not None and getattr(self, name) is None and name != "weights"
        }
        return self.model_copy(update=learnt)


def read_json(path: Path) -> dict[str, Any]:
    """A mapping in a JSON file; empty if there is none that can be read."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def counted(weights: Path) -> float:
    """Parameters in a file, or a folder's files; 0 if there is none."""
    files = sorted(weights.iterdir()) if weights.is_dir() else [weights]
    safe = [path for path in files if path.suffix == ".safetensors"]
    others = [path for path in files if path.suffix in (".bin", ".pt", ".pth")]
    return sum(_counted(path, path.stat().st_mtime_ns) for path in safe or others)


@lru_cache
def _counted(path: Path, stamp: int) -> float:
    """Number of elements by a safetensors file's header, or by another file's size as float32."""
    with path.open("rb") as file:
        if path.suffix != ".safetensors":
            return path.stat().st_size / 4
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
            header.pop("__metadata__", None)
            return float(sum(prod(each["shape"]) for each in header.values()))
        except (ValueError, AttributeError, KeyError, TypeError):
            return path.stat().st_size / 4
