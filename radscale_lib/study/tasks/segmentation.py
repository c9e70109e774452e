"""Segmentation: a pyramid decoder on the four levels."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.tasks.base import Decoder, TaskSection


class Segmentation(TaskSection):
    """Tube masks from the four feature levels through a small pyramid decoder; Dice, clDice."""

    implementation: ClassVar[str] = "radscale_lib.tasks.segmentation"
    scoring: ClassVar[str] = "radscale_lib.tasks.mask_scoring"
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "tubes"

    kind: Literal["segmentation"]
    decoder: Decoder
    width: int = Field(128, ge=4, description="Channels of the pyramid.")
    output_size: int = Field(
        256, ge=16, description="Side of the predicted mask, pixels of the encoder's input crop."
    )
    tube_width: float = Field(
        0.012, gt=0, lt=0.2, description="Width a polyline is drawn with, as a share of the side."
    )
    tolerance: int = Field(1, ge=0, description="Tolerance of clDice, pixels of the mask.")

    @property
    def runs_encoder(self) -> bool:
        """The decoder reads grids, which are not kept."""
        return True

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its one decoder."""
        return ("pyramid",)

    @property
    def names(self) -> str:
        """The key of `labels` with the labels that it scores."""
        return "tubes"

    def title(self, words: str) -> str:
        """What the task is called in a heading."""
        return words if "segmentation" in words else f"{words} segmentation"

    def images_encoded(self, tested: float) -> float:
        """Images that it runs the encoder on, with `tested` test images."""
        return self.decoder.steps * self.decoder.batch + (self.decoder.test_images or tested)
