"""UniCL: contrastive training on images and texts."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Fraction
from radscale_lib.study.encoders.base import EncoderSection
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.paradigms.base import OneCropRecipe, OptimiserConfig, Supervision


class Unicl(OneCropRecipe):
    """Image-text contrastive training (CLIP; with labels, UniCL, arXiv 2204.03610)."""

    implementation: ClassVar[str] = "radscale_lib.pretrain.unicl"
    pairs: ClassVar[tuple[Supervision, ...]] = ("reports", "labels")
    towers: ClassVar[tuple[str, ...]] = ("image", "text")

    paradigm: Literal["unicl"]
    optimiser: OptimiserConfig
    loss: Literal["unicl", "siglip"] = Field(
        "unicl",
        description="`unicl`: softmax over the batch (CLIP's InfoNCE where all classes differ); "
        "`siglip`: a sigmoid for each pair (arXiv 2303.15343).",
    )
    label_share: Fraction = Field(
        0.5, description="Share of samples with their label text instead of report text."
    )
    state_negatives: bool = Field(
        False, description="Whether label texts also name labels that are known to be absent."
    )
    near_duplicates: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of common words (Jaccard) from which two reports are not negatives "
        "of each other; 1 requires the same words in the same order.",
    )

    def held_bytes(self, encoder: EncoderSection, precision: str) -> float:
        """The bytes of both towers."""
        assert isinstance(encoder, Mi2)
        images = encoder.held_bytes(precision, "image" in self.recompute)
        return images + encoder.text.held_bytes(precision, "text" in self.recompute)

    def sample_flops(self, encoder: EncoderSection) -> float:
        """Both towers, forward and backward."""
        assert isinstance(encoder, Mi2)
        images = self.training_passes("image") * encoder.flops()
        return images + self.training_passes("text") * encoder.text.flops()
