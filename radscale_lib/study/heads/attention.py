"""Attention head: a learnt query for each label over the patch tokens of all levels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Distinct
from radscale_lib.study.heads.base import Encoding, HeadSection

CHECKS = 20
"""Number of times that the validation loss is computed over all steps."""


class Attention(HeadSection):
    """Attention pooling over the tokens of all four levels, with a learnt query per label."""

    implementation: ClassVar[str] = "radscale_lib.tasks.heads.attention"
    runs_encoder: ClassVar[bool] = True

    kind: Literal["attention"]
    width: int = Field(256, ge=4, description="Width of keys and values.")
    rates: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Distinct] = Field(
        (3e-4, 1e-3, 3e-3),
        min_length=1,
        description="Learning rates tried, on the same batches; chosen on the validation split.",
    )
    weight_decays: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Distinct] = Field(
        (0.05,),
        min_length=1,
        description="Weight decays tried with each rate; chosen on the validation split.",
    )
    steps: int = Field(
        2000,
        ge=1,
        description="Optimiser steps, at most: the weights kept are those of least validation "
        f"loss, which is computed {CHECKS} times.",
    )
    patience: int = Field(
        5, ge=1, description="A rate stops after this many validation losses without improvement."
    )
    batch: int = Field(64, ge=1, description="Images per step.")
    train_images: int | None = Field(
        20_000, ge=2, description="Training images used (first by keyed hash); null uses all."
    )
    validation_images: int | None = Field(
        5_000, ge=2, description="Validation images used (first by keyed hash); null uses all."
    )

    def encoding(self, trained: float, validated: float, tested: float) -> Encoding:
        """Its use of the encoder, with this many images in each split."""
        learnt = min(trained, self.train_images or trained)
        checked = min(validated, self.validation_images or validated)
        seen = self.steps * self.batch
        encoded = learnt + checked + validated + tested
        return Encoding(encoded, learnt + checked, seen + CHECKS * checked, seen)
