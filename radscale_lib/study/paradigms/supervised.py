"""Supervised training on the labels themselves, without texts."""

from typing import ClassVar, Literal

from radscale_lib.study.encoders.base import EncoderSection
from radscale_lib.study.paradigms.base import OneCropRecipe, OptimiserConfig, Supervision


class Supervised(OneCropRecipe):
    """Multi-label classification on the study's labels, for the image tower of any encoder."""

    implementation: ClassVar[str] = "radscale_lib.pretrain.supervised"
    pairs: ClassVar[tuple[Supervision, ...]] = ("labels",)
    any_tower: ClassVar[bool] = True

    paradigm: Literal["supervised"]
    optimiser: OptimiserConfig

    def sample_flops(self, encoder: EncoderSection) -> float:
        """The image tower, forward and backward."""
        return self.training_passes("image") * encoder.flops()
