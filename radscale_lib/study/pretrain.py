"""Pretraining: base weights and arms, each an encoder with a recipe."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from radscale_lib.study.base import Distinct, Name, Section
from radscale_lib.study.paradigms import Recipe
from radscale_lib.study.subsets import Sizes


class Pretraining(Section):
    """An encoder, how it is trained, and on what."""

    encoder: Name = Field(description="Name of an entry of 'encoders'.")
    recipe: Recipe = Field(description="How it is trained.")
    supervision: Annotated[tuple[Literal["reports", "labels"], ...], Distinct] = Field(
        (), description="What the images are paired with; nothing for DINOv2."
    )

    @model_validator(mode="after")
    def _supervision_fits(self) -> Self:
        paradigm = self.recipe.paradigm
        if self.recipe.pairs and not self.supervision:
            raise ValueError(
                f"supervision [] pairs images with nothing, and {paradigm} needs pairs: give "
                "[reports], [labels] or both"
            )
        if self.supervision and not self.recipe.pairs:
            raise ValueError(
                f"supervision {list(self.supervision)} is not used by {paradigm}, which learns "
                "from images only: remove it"
            )
        return self


class Base(Pretraining):
    """Initial weights made here, on the 'public' archive, where no released weights are used."""

    seed: int = Field(0, ge=0, description="Seed of the initial weights and of training.")


class Arm(Pretraining):
    """A line of the study: an encoder continued under one paradigm and supervision."""

    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Distinct] = Field(
        (0,),
        min_length=1,
        description="Seeds: each draws its own subsets and its own training.",
    )
    sizes: Sizes | None = Field(
        None, description="Sizes of this arm where they are fewer than the study's."
    )
