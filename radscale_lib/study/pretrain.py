"""Pretraining: base weights and arms, each an encoder with a recipe, or an interpolation."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from radscale_lib.study.base import Distinct, Fraction, Name, Section
from radscale_lib.study.paradigms import Recipe, Supervision
from radscale_lib.study.subsets import Sizes


class Pretraining(Section):
    """An encoder, its recipe, and its supervision."""

    encoder: Name = Field(description="Name of an entry of 'encoders'.")
    recipe: Recipe = Field(description="How it is trained.")
    supervision: Annotated[tuple[Supervision, ...], Distinct] = Field(
        (), description="What the images are paired with; nothing for DINOv2."
    )

    @model_validator(mode="after")
    def _supervision_fits(self) -> Self:
        paradigm, pairs = self.recipe.paradigm, self.recipe.pairs
        if pairs and not self.supervision:
            give = "[reports], [labels] or both" if len(pairs) > 1 else f"[{pairs[0]}]"
            raise ValueError(
                f"supervision [] pairs images with nothing, and {paradigm} needs pairs: give {give}"
            )
        if self.supervision and not pairs:
            raise ValueError(
                f"supervision {list(self.supervision)} is not used by {paradigm}, which learns "
                "from images only: remove it"
            )
        unused = [name for name in self.supervision if name not in pairs]
        if unused:
            raise ValueError(
                f"supervision {list(self.supervision)}: {paradigm} learns from {pairs[0]} only: "
                f"remove {unused[0]}"
            )
        return self


class Base(Pretraining):
    """Initial weights trained here, on the 'public' archive, instead of released weights."""

    seed: int = Field(0, ge=0, description="Seed of the initial weights and of training.")


class Baseline(Section):
    """An encoder that is only evaluated, and shown beside the arms in all figures and tables."""

    encoder: Name = Field(
        description="Name of an entry of 'encoders', with weights (or 'random', where it has it)."
    )


Share = Annotated[float, Field(gt=0, le=1)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Distinct]


class Arm(Pretraining):
    """An arm of the study: an encoder continued with one paradigm and supervision."""

    seeds: Seeds = Field(
        (0,),
        min_length=1,
        description="Seeds: each draws its own subsets and its own training.",
    )
    sizes: Sizes | None = Field(
        None, description="Sizes of this arm if they are fewer than the study's."
    )
    keep: Annotated[tuple[Share, ...], Distinct] = Field(
        (),
        description="Shares of the budget at which a run's encoder is kept and evaluated too, "
        "such as [0.25, 0.5]; that of the whole budget always is. A change retrains "
        "only runs that have not kept a new share.",
    )

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        steps = self.recipe.optimiser.steps
        for share in self.keep:
            if round(share * steps) < 1:
                raise ValueError(
                    f"keep {share:g} of {steps} steps is less than one: keep {1 / steps:g} or more"
                )
        at = [round(share * steps) for share in self.keep]
        if len(set(at)) < len(at):
            raise ValueError(
                f"keep {list(self.keep)} of {steps} steps names a step twice: name fewer shares"
            )
        return self

    @property
    def kept(self) -> dict[float, int]:
        """Steps before the end of the budget after which the encoder is kept, by share."""
        steps = self.recipe.optimiser.steps
        at = {share: round(share * steps) for share in sorted(self.keep)}
        return {share: step for share, step in at.items() if step < steps}


class Interpolation(Section):
    """An arm without training: weights between an arm's and its base's (arXiv 2109.01903)."""

    interpolates: Name = Field(description="The arm whose trained weights are used.")
    share: Fraction = Field(
        0.5, description="Share of the trained weights in the mean; the remainder is their base's."
    )
    seeds: Seeds = Field(
        (0,), min_length=1, description="Seeds, among those of the arm; all by default."
    )
    sizes: Sizes | None = Field(None, description="Sizes, among those of the arm; all by default.")
    encoder: str = Field("", description="The arm's; may be left out.")
    supervision: Annotated[tuple[Supervision, ...], Distinct] = Field(
        (), description="The arm's; may be left out."
    )

    @model_validator(mode="before")
    @classmethod
    def _trains_nothing(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "recipe" in values:
            raise ValueError("an interpolation trains nothing: remove 'recipe', or 'interpolates'")
        return values

    @staticmethod
    def complete(values: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a section, completed with those of its arm."""
        shared = ("encoder", "supervision", "seeds", "sizes")
        return {name: arm[name] for name in shared if name in arm} | dict(values)


def _variant(section: Any) -> str:
    if isinstance(section, Mapping):
        return "interpolation" if "interpolates" in section else "arm"
    return "interpolation" if isinstance(section, Interpolation) else "arm"


ArmSection = Annotated[
    Annotated[Arm, Tag("arm")] | Annotated[Interpolation, Tag("interpolation")],
    Discriminator(_variant),
]
"""The type of an entry of `arms`."""
