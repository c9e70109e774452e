"""Encoders: the two image towers (and MI2's text tower) and their initial weights."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from radscale_lib.study.base import Section, whole_heads

Four = tuple[
    Annotated[int, Field(ge=1)],
    Annotated[int, Field(ge=1)],
    Annotated[int, Field(ge=1)],
    Annotated[int, Field(ge=1)],
]

Three = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


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
        description="Standard deviations grey values are divided by, one per input channel.",
    )

    @model_validator(mode="after")
    def _divisible(self) -> "Davit":
        for dim, heads in zip(self.dims, self.heads, strict=True):
            whole_heads(dim, heads)
        return self


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
        "null takes CLIP's own tokenizer.",
    )

    @model_validator(mode="after")
    def _divisible(self) -> "Text":
        whole_heads(self.width, self.heads)
        return self


class Mi2(Section):
    """MI2: image tower, text tower and a shared projection space."""

    kind: Literal["mi2"]
    image: Davit = Davit()
    text: Text = Text()
    projection: int = Field(1024, ge=8, description="Dimension of the shared space.")
    weights: Path | None = Field(
        None, description="Released weights (safetensors file of both towers)."
    )

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.image.image_size


class Vit(Section):
    """ViT image tower; the defaults are RAD-DINO's (ViT-B/14 at 518 px)."""

    architecture: Literal["vit"] = "vit"
    image_size: int = Field(518, ge=16, description="Side of the square input, pixels.")
    patch: int = Field(14, ge=2, description="Side of a patch, pixels.")
    width: int = Field(768, ge=8, description="Token width.")
    depth: int = Field(12, ge=4, description="Blocks; features come from four equally spaced ones.")
    heads: int = Field(12, ge=1, description="Attention heads.")
    drop_path: float = Field(0.3, ge=0, lt=1, description="Stochastic depth rate.")
    layer_scale: float = Field(1e-5, gt=0, description="Initial LayerScale.")
    mean: float = Field(0.5307, description="Mean subtracted from grey values in [0, 1].")
    std: float = Field(0.2583, gt=0, description="Standard deviation grey values are divided by.")

    @model_validator(mode="after")
    def _divisible(self) -> "Vit":
        if self.image_size % self.patch:
            raise ValueError(
                f"image_size {self.image_size} is no multiple of patch {self.patch}: "
                f"take {max(1, self.image_size // self.patch) * self.patch}"
            )
        whole_heads(self.width, self.heads)
        return self


class Head(Section):
    """DINOv2 projection head; the defaults are RAD-DINO's."""

    hidden: int = Field(2048, ge=8, description="Hidden width.")
    bottleneck: int = Field(256, ge=8, description="Width before the prototypes.")
    prototypes: int = Field(65536, ge=8, description="Number of prototypes.")


class RadDino(Section):
    """RAD-DINO: an image tower with DINOv2's projection head."""

    kind: Literal["rad-dino"]
    image: Vit = Vit()
    head: Head = Head()
    weights: Path | None = Field(
        None, description="Released weights (folder with backbone and dino_head safetensors)."
    )

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.image.image_size


Encoder = Annotated[Mi2 | RadDino, Field(discriminator="kind")]
