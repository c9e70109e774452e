"""Supervised training: the labels themselves, without texts."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Fraction, Interval
from radscale_lib.study.encoders.base import EncoderSection
from radscale_lib.study.paradigms.base import BACKWARD, OptimiserConfig, RecipeSection, Supervision


class Supervised(RecipeSection):
    """Multi-label classification on the study's labels, for the image tower of any encoder."""

    implementation: ClassVar[str] = "radscale_lib.pretrain.supervised"
    pairs: ClassVar[tuple[Supervision, ...]] = ("labels",)
    any_tower: ClassVar[bool] = True

    paradigm: Literal["supervised"]
    optimiser: OptimiserConfig
    crop_scale: Interval = Field(
        (0.8, 1.0), description="Area of the random crop, as a share of the image."
    )
    intensity: float = Field(
        0.2, ge=0, lt=1, description="Largest relative change of brightness and contrast."
    )
    trivial_augment: bool = Field(
        False,
        description="Whether one operation of random strength (TrivialAugment, as MedImageInsight "
        "was trained with) takes the place of the change of brightness and contrast.",
    )
    erase: Fraction = Field(0.25, description="Probability of random erasing.")
    ema: float = Field(
        0.999, ge=0, lt=1, description="Decay of the averaged weights that are kept."
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Decay of the learning rate from each block of a tower to the one below.",
    )

    def sample_flops(self, encoder: EncoderSection) -> float:
        """The image tower, forward and backward."""
        return BACKWARD * encoder.flops()
