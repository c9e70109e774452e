"""A paradigm: predict an image's mean grey. Its facts."""

from typing import ClassVar, Literal

from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.paradigms import OptimiserConfig, RecipeSection, Supervision


class Brightness(RecipeSection):
    """Prediction of the mean grey."""

    implementation: ClassVar[str] = "radscale_dummy.learner"
    pairs: ClassVar[tuple[Supervision, ...]] = ()

    paradigm: Literal["brightness"]
    optimiser: OptimiserConfig

    def sample_flops(self, encoder: EncoderSection) -> float:
        return 3 * encoder.flops()
