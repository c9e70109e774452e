"""MI2 (MedImageInsight): a DaViT image tower, a CLIP text tower, and their shared space."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from radscale_lib.study.base import Section, whole_heads
from radscale_lib.study.encoders.base import EncoderSection, Four, Placement, Positive, Three

DAVIT_STRIDE = 32
"""Input pixels per cell of the last level: strides 4, 2, 2 and 2."""
CLIP_VOCABULARY = 49_408
"""Number of tokens of CLIP's own tokenizer."""


class Davit(Section):
    """DaViT image tower; the defaults are MedImageInsight's (arXiv 2410.06542, config.yaml)."""

    architecture: Literal["davit"] = "davit"
    image_size: int = Field(480, ge=16, description="Side of the square input, pixels.")
    dims: Four = Field((256, 512, 1024, 2048), description="Channels of the four stages.")
    depths: Four = Field((1, 1, 9, 1), description="Blocks of the four stages.")
    heads: Four = Field((8, 16, 32, 64), description="Heads and groups of the four stages.")
    window: int = Field(12, ge=1, description="Side of the attention window, tokens.")
    drop_path: float = Field(0.2, ge=0, lt=1, description="Stochastic depth rate.")
    mean: Three = Field(
        (0.485, 0.456, 0.406),
        description="Means subtracted from grey values in [0, 1], one per input channel.",
    )
    std: tuple[Positive, Positive, Positive] = Field(
        (0.229, 0.224, 0.225),
        description="Standard deviations by which grey values are divided, one per input channel.",
    )

    @model_validator(mode="after")
    def _divisible(self) -> "Davit":
        for dim, heads in zip(self.dims, self.heads, strict=True):
            whole_heads(dim, heads)
        return self

    def flops(self) -> float:
        """Forward pass: each block attends over windows, then over channel groups."""
        flops, side, channels = 0.0, self.image_size, 3
        for stage, (width, depth, heads) in enumerate(
            zip(self.dims, self.depths, self.heads, strict=True)
        ):
            stride, kernel = (4, 7) if stage == 0 else (2, 3)
            side = max(side // stride, 1)
            tokens = side * side
            flops += 2.0 * tokens * kernel**2 * channels * width
            linear = 2 * 12 * tokens * width**2
            window = 2 * tokens * self.window**2 * width
            channel = 2 * tokens * width * (width // heads)
            flops += 2.0 * depth * (linear + window + channel)
            channels = width
        return flops

    def held_bytes(self, precision: str, recompute: bool) -> float:
        """Approximate bytes per image held for the backward pass.

        Counted by benchmarks/memory.py.
        """
        each = 46 if precision == "bf16" else 84
        sides = [self.image_size // 2 ** (stage + 2) for stage in range(4)]
        blocks: list[int] = [side**2 * width for side, width in zip(sides, self.dims, strict=True)]
        whole = 2.0 * sum(depth * block for depth, block in zip(self.depths, blocks, strict=True))
        return 4 * whole + each / 2 * max(blocks) if recompute else each * whole

    def parameters(self) -> float:
        """Matrices of its blocks and convolutions."""
        blocks = sum(
            24.0 * depth * width**2 for width, depth in zip(self.dims, self.depths, strict=True)
        )
        stem, *halving = zip((3, *self.dims[:3]), self.dims, strict=True)
        return blocks + 49 * stem[0] * stem[1] + sum(9 * a * b for a, b in halving)


class Text(Section):
    """CLIP text tower; the defaults are MedImageInsight's."""

    context: int = Field(77, ge=4, description="Tokens of a text, start and end included.")
    width: int = Field(1024, ge=8, description="Width of the transformer.")
    layers: int = Field(16, ge=1, description="Layers of the transformer.")
    heads: int = Field(16, ge=1, description="Attention heads.")
    vocabulary: int | None = Field(
        None,
        ge=256,
        description="Tokens of a byte-pair vocabulary learnt from the base archive's reports; "
        "null uses CLIP's own tokenizer.",
    )

    @model_validator(mode="after")
    def _divisible(self) -> "Text":
        whole_heads(self.width, self.heads)
        return self

    def flops(self) -> float:
        """FLOPs of a forward pass with full context."""
        block = 12 * self.context * self.width**2 + 2 * self.context**2 * self.width
        return 2.0 * self.layers * block

    def held_bytes(self, precision: str, recompute: bool) -> float:
        """Approximate bytes per text of full length held for the backward pass."""
        each = 42 if precision == "bf16" else 76
        channels = self.context * self.width
        if recompute:
            return (4 * self.layers + each) * channels
        return each * self.layers * channels

    def parameters(self) -> float:
        """Matrices of its blocks, and its embeddings."""
        words = (self.vocabulary or CLIP_VOCABULARY) + self.context
        return 12.0 * self.layers * self.width**2 + words * self.width


class Mi2(EncoderSection):
    """MI2: image tower, text tower and a shared projection space."""

    implementation: ClassVar[str] = "radscale_lib.encoders.mi2"
    paradigms: ClassVar[tuple[str, ...]] = ("unicl",)
    weights_are: ClassVar[Literal["file", "folder"]] = "file"
    exports: ClassVar[Mapping[str, str]] = {
        "timm": "radscale_lib.hub.mi2_timm",
        **EncoderSection.exports,
    }

    kind: Literal["mi2"]
    image: Davit = Davit()
    text: Text = Text()
    projection: int = Field(1024, ge=8, description="Dimension of the shared space.")
    weights: Path | None = Field(
        None,
        description="Released weights: a safetensors file of both towers, or an encoder file that "
        "this project wrote.",
    )

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.image.image_size

    @property
    def learns_words(self) -> bool:
        """Whether training it from scratch learns a vocabulary, which its files then contain."""
        return self.text.vocabulary is not None

    def place(self, height: int, width: int) -> Placement:
        """The whole image, squeezed into the square."""
        return Placement(self.image_size, self.image_size, 0, 0)

    def flops(self) -> float:
        """FLOPs of one forward pass of the image tower, two per multiply-add."""
        return self.image.flops()

    def held_bytes(self, precision: str, recompute: bool) -> float:
        """Approximate bytes per image that the image tower holds for backward."""
        return self.image.held_bytes(precision, recompute)

    def feature_numbers(self) -> float:
        """Numbers of the four feature levels of an image."""
        return float(
            sum(
                width * (self.image_size // stride) ** 2
                for width, stride in zip(self.image.dims, (4, 8, 16, 32), strict=True)
            )
        )

    def channels(self) -> float:
        """Channels of the deepest feature level."""
        return float(self.image.dims[-1])

    def parameters(self) -> float:
        """Both towers and the projections."""
        space = (self.image.dims[-1] + self.text.width) * self.projection
        return self.image.parameters() + self.text.parameters() + space

    def problems(self) -> Iterator[tuple[str, str]]:
        """A size that the strides do not divide; a vocabulary together with released weights."""
        if self.image_size % DAVIT_STRIDE:
            nearest = max(round(self.image_size / DAVIT_STRIDE), 1) * DAVIT_STRIDE
            yield (
                "image.image_size",
                f"{self.image_size} is not a multiple of {DAVIT_STRIDE}, the product of a "
                f"DaViT's strides, so its levels do not cover the image evenly: use {nearest}",
            )
        if self.weights is not None and self.text.vocabulary:
            yield (
                "text.vocabulary",
                f"{self.text.vocabulary} contradicts released weights, which have a vocabulary: "
                "remove it",
            )
