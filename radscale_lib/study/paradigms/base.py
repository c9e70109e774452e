"""The interface of pretraining paradigms."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from radscale_lib.study.base import Distinct, Fraction, Interval, Section
from radscale_lib.study.encoders.base import EncoderSection

BACKWARD = 3
"""Cost of a forward and backward pass together, in forward passes."""

Supervision = Literal["reports", "labels"]
"""Kinds of texts with which images can be paired."""

Pattern = Annotated[str, Field(min_length=1)]


class Factors(Section):
    """Factors on the learning rate and the weight decay of some weights."""

    lr: float = Field(1.0, gt=0, description="Factor of the learning rate.")
    weight_decay: float = Field(1.0, ge=0, description="Factor of the weight decay.")


class Spikes(Section):
    """What to do if the loss jumps."""

    above: float = Field(
        10.0,
        gt=0,
        description="A spike is a loss that exceeds the median of the last `window` losses by "
        "more than this many of their standard deviations (from their median absolute "
        "deviation).",
    )
    window: int = Field(
        50, ge=5, description="Steps with which a loss is compared; spikes are not among them."
    )
    then: Literal["count", "skip", "roll-back"] = Field(
        "count",
        description="`count` uses its gradient; `skip` does not; `roll-back` also restores the "
        "weights of the last multiple of `window` steps (or of a hundredth of the "
        "steps, if that is more). The samples of such a step count as seen.",
    )


class Collapse(Section):
    """When a run counts as collapsed: below a bound at three logged steps in a row."""

    rank: float = Field(
        1.01,
        ge=1,
        description="Lower bound of the effective rank (RankMe) of a batch's embeddings; 1 never "
        "triggers.",
    )
    divergence: float = Field(
        1e-5,
        ge=0,
        description="Lower bound of the divergence (KL, nats) of DINOv2's student from its "
        "teacher: if it vanishes, both say the same about every image; 0 never "
        "triggers.",
    )


class OptimiserConfig(Section):
    """AdamW with warm-up and cosine decay; every number is global, whatever the hardware."""

    samples: int = Field(
        ge=1,
        description="The compute budget: samples seen in total, the same for every subset size.",
    )
    batch: int = Field(ge=2, description="Images per optimiser step, over all devices.")
    passes: int = Field(
        1,
        ge=1,
        description="Forward and backward passes per step, each over batch / passes images, if a "
        "batch does not fit the devices. The contrastive loss still spans the batch; "
        "DINOv2's Sinkhorn and KoLeo span a pass.",
    )
    lr: float = Field(gt=0, description="Peak learning rate.")
    weight_decay: float = Field(
        0.05, ge=0, description="Weight decay of matrices (not of norms or biases)."
    )
    warmup: Fraction = Field(0.1, description="Share of the steps for warm-up.")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm.")
    clip_each: bool = Field(
        False,
        description="Whether the norm is that of each part of the model (`image`, `head`, `text`, "
        "…) separately, as in DINOv2's own code, or of all together.",
    )
    spikes: Spikes = Spikes()
    collapse: Collapse = Collapse()
    beta2: float = Field(0.999, gt=0, lt=1, description="AdamW's second moment decay.")
    freeze: tuple[Pattern, ...] = Field(
        (),
        description="Weights that are not trained: patterns such as `text.*` or "
        "`image.blocks.[0-5].*` of their names in encoder.safetensors.",
    )
    factors: dict[Pattern, Factors] = Field(
        {},
        description="Weights with another learning rate or decay, by pattern as in `freeze`; if "
        "several match, their factors are multiplied.",
    )

    @model_validator(mode="after")
    def _whole_steps(self) -> "OptimiserConfig":
        if self.samples % self.batch:
            raise ValueError(
                f"samples {self.samples} is not a multiple of batch {self.batch}: use "
                f"{-(-self.samples // self.batch) * self.batch}"
            )
        if self.batch % self.passes:
            raise ValueError(f"batch {self.batch} is not a multiple of passes {self.passes}")
        return self

    @property
    def steps(self) -> int:
        """Number of optimiser steps of a run."""
        return self.samples // self.batch


class RecipeSection(Section):
    """A paradigm with its settings and facts."""

    implementation: ClassVar[str]
    """Module with `build(setup)` and `build_model(section, recipe=None)`; imported when torch is
    needed."""
    pairs: ClassVar[tuple[Supervision, ...]]
    """Allowed pairings of images (`supervision`); empty if it learns from images alone."""
    any_tower: ClassVar[bool] = False
    """Whether it trains the image tower of any kind of encoder, and keeps nothing else."""

    towers: ClassVar[tuple[str, ...]] = ("image",)
    """The towers it trains."""

    paradigm: str
    optimiser: OptimiserConfig
    recompute: Annotated[tuple[Literal["image", "text"], ...], Distinct] = Field(
        (),
        description="Towers whose activations are recomputed in the backward pass (activation "
        "checkpointing): a third more compute for a fraction of the memory, with "
        "equal results.",
    )

    def sample_flops(self, encoder: EncoderSection) -> float:
        """FLOPs per image of a training step; matrix products only, two per multiply-add."""
        raise NotImplementedError

    @property
    def continues_whole(self) -> bool:
        """Whether it continues more of a base than its image tower, such as a head."""
        return not self.any_tower

    def problems(self, encoder: EncoderSection) -> Iterator[tuple[str, str]]:
        """Settings that do not fit an encoder: key below the recipe, and message."""
        for tower in self.recompute:
            if tower not in self.towers:
                trained = " and ".join(self.towers)
                yield "recompute", f"{self.paradigm} trains no {tower} tower, but {trained}"

    def held_bytes(self, encoder: EncoderSection, precision: str) -> float | None:
        """Approximate bytes per image that a training step holds for backward; None if unknown."""
        return encoder.held_bytes(precision, "image" in self.recompute)

    def training_passes(self, tower: str) -> int:
        """Cost of a tower's forward and backward pass together, in forward passes."""
        return BACKWARD + (tower in self.recompute)


class OneCropRecipe(RecipeSection):
    """A paradigm that uses one random crop of each image and keeps averaged weights."""

    crop_scale: Interval = Field(
        (0.8, 1.0), description="Area of the random crop, as a share of the image."
    )
    intensity: float = Field(
        0.2, ge=0, lt=1, description="Largest relative change of brightness and contrast."
    )
    trivial_augment: bool = Field(
        False,
        description="Whether one operation of random strength (TrivialAugment, with which "
        "MedImageInsight was trained) replaces the change of brightness and contrast.",
    )
    erase: Fraction = Field(0.25, description="Probability of random erasing.")
    ema: float = Field(
        0.999, ge=0, lt=1, description="Decay of the averaged weights, which are kept."
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Decay of the learning rate from each block of a tower to the one below.",
    )
