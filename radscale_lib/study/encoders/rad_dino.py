"""RAD-DINO: a ViT image tower with DINOv2's projection head."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from radscale_lib.study.base import Section, whole_heads
from radscale_lib.study.encoders.base import EncoderSection, Placement

IBOT = "ibot_head."
"""Name prefix of a separate head for masked patches."""


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
    std: float = Field(
        0.2583, gt=0, description="Standard deviation by which grey values are divided."
    )

    @model_validator(mode="after")
    def _divisible(self) -> "Vit":
        if self.image_size % self.patch:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch {self.patch}: use "
                f"{max(1, self.image_size // self.patch) * self.patch}"
            )
        whole_heads(self.width, self.heads)
        return self

    @property
    def patches(self) -> int:
        """Patches of the square input."""
        return int((self.image_size // self.patch) ** 2)

    def flops(self, side: int) -> float:
        """Forward pass on a square image of `side` pixels."""
        tokens = (side // self.patch) ** 2 + 1
        block = 12 * tokens * self.width**2 + 2 * tokens**2 * self.width
        return 2.0 * (self.depth * block + tokens * 3 * self.patch**2 * self.width)

    def held_bytes(self, side: int, precision: str, recompute: bool) -> float:
        """Approximate bytes held for the backward pass of a square image of `side` pixels.

        Counted by benchmarks/memory.py.
        """
        channels = ((side // self.patch) ** 2 + 1) * self.width
        block = (50 if precision == "bf16" else 92) * channels * (1 - self.drop_path)
        return block + 4 * (self.depth - 1) * channels if recompute else self.depth * block

    def parameters(self) -> float:
        """Matrices of its blocks, and its embeddings."""
        embeddings = 3 * self.patch**2 + self.patches + 2
        return 12.0 * self.depth * self.width**2 + embeddings * self.width


class Head(Section):
    """DINOv2 projection head; the defaults are RAD-DINO's."""

    hidden: int = Field(2048, ge=8, description="Hidden width.")
    bottleneck: int = Field(256, ge=8, description="Width before the prototypes.")
    prototypes: int = Field(65536, ge=8, description="Number of prototypes.")

    def parameters(self, width: int) -> float:
        """Matrices of its layers, from tokens of `width` channels."""
        return float(
            width * self.hidden
            + self.hidden * self.hidden
            + self.hidden * self.bottleneck
            + self.bottleneck * self.prototypes
        )


class RadDino(EncoderSection):
    """RAD-DINO: an image tower with DINOv2's projection head."""

    implementation: ClassVar[str] = "radscale_lib.encoders.rad_dino"
    paradigms: ClassVar[tuple[str, ...]] = ("dinov2",)
    weights_are: ClassVar[Literal["file", "folder", "either"]] = "either"
    exports: ClassVar[Mapping[str, str]] = {
        "transformers": "radscale_lib.hub.rad_dino_transformers",
        "timm": "radscale_lib.hub.rad_dino_timm",
        **EncoderSection.exports,
    }

    only_trained: ClassVar[tuple[str, ...]] = ("head.", "mask_token")
    without_trained: ClassVar[str] = (
        "the projection head or the mask token is missing, and DINOv2 collapses when it is "
        "continued without its trained head: download dino_head.safetensors with the release "
        "(an encoder that no arm trains does without, and an arm with a head_warmup)"
    )

    spare: ClassVar[tuple[str, ...]] = (IBOT,)

    kind: Literal["rad-dino"]
    image: Vit = Vit()
    head: Head = Head()
    weights: Path | None = Field(
        None,
        description="Released weights: a folder with backbone and dino_head safetensors, "
        "teacher_checkpoint.pth of DINOv2's training, or an encoder file that this project wrote.",
    )

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.image.image_size

    def place(self, height: int, width: int) -> Placement:
        """The central square, after resizing the shorter side to the tower's size.

        Sizes and margins are rounded down, as in the release's image processor (transformers).
        """
        size, shorter = self.image_size, min(height, width)
        rows, columns = (side * size // shorter for side in (height, width))
        return Placement(rows, columns, (rows - size) // 2, (columns - size) // 2)

    def flops(self) -> float:
        """FLOPs of one forward pass of the image tower, two per multiply-add."""
        return self.image.flops(self.image_size)

    def held_bytes(self, precision: str, recompute: bool) -> float:
        """Approximate bytes per image that the image tower holds for backward."""
        return self.image.held_bytes(self.image_size, precision, recompute)

    def feature_numbers(self) -> float:
        """Numbers of the four feature levels of an image."""
        return 4.0 * self.image.width * self.image.patches

    def channels(self) -> float:
        """Channels of the deepest feature level."""
        return float(self.image.width)

    def parameters(self) -> float:
        """Tower and head."""
        return self.image.parameters() + self.head.parameters(self.image.width)
