"""Pretraining: arms, recipes and the compute budget."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from radscale_lib.study.base import Distinct, Fraction, Interval, Name, Section
from radscale_lib.study.subsets import Sizes

Temperature = Annotated[float, Field(gt=0)]


class Optimiser(Section):
    """AdamW with warm-up and cosine decay; every number is global, whatever the hardware."""

    samples: int = Field(
        ge=1,
        description="The compute budget: samples seen in total, the same for every subset size.",
    )
    batch: int = Field(ge=2, description="Images per optimiser step, over all devices.")
    passes: int = Field(
        1,
        ge=1,
        description="Forward and backward passes per step, each over batch / passes images, where "
        "a batch does not fit the devices. The contrastive loss still spans the batch; DINOv2's "
        "Sinkhorn and KoLeo span a pass.",
    )
    lr: float = Field(gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.05, ge=0, description="Decay of matrices (not norms or biases).")
    warmup: Fraction = Field(0.1, description="Share of the steps spent warming up.")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm.")
    beta2: float = Field(0.999, gt=0, lt=1, description="AdamW's second moment decay.")

    @model_validator(mode="after")
    def _whole_steps(self) -> "Optimiser":
        if self.samples % self.batch:
            raise ValueError(
                f"samples {self.samples} is no multiple of batch {self.batch}: "
                f"take {-(-self.samples // self.batch) * self.batch}"
            )
        if self.batch % self.passes:
            raise ValueError(f"batch {self.batch} is no multiple of passes {self.passes}")
        return self

    @property
    def steps(self) -> int:
        """Optimiser steps of a run."""
        return self.samples // self.batch


class Unicl(Section):
    """Image-text contrastive training (CLIP; UniCL, arXiv 2204.03610, where labels are used)."""

    paradigm: Literal["unicl"]
    optimiser: Optimiser
    label_share: Fraction = Field(
        0.5, description="Share of samples that carry their label text instead of report text."
    )
    crop_scale: Interval = Field(
        (0.8, 1.0), description="Area of the random crop, as a share of the image."
    )
    intensity: float = Field(
        0.2, ge=0, lt=1, description="Largest relative change of brightness and contrast."
    )
    erase: Fraction = Field(0.25, description="Probability of random erasing.")
    ema: float = Field(
        0.999, ge=0, lt=1, description="Decay of the averaged weights that are kept."
    )


class Dinov2(Section):
    """DINOv2 self-distillation: student and EMA teacher, multi-crop, DINO + iBOT + KoLeo."""

    paradigm: Literal["dinov2"]
    optimiser: Optimiser
    local_crops: int = Field(8, ge=0, description="Local crops per image.")
    local_size: int = Field(98, ge=8, description="Side of a local crop, pixels.")
    global_scale: Interval = Field((0.32, 1.0), description="Area of global crops.")
    local_scale: Interval = Field((0.05, 0.32), description="Area of local crops.")
    intensity: float = Field(
        0.4, ge=0, lt=1, description="Largest relative change of brightness and contrast."
    )
    blur: Fraction = Field(0.5, description="Probability of a Gaussian blur.")
    mask_probability: Fraction = Field(0.5, description="Share of global crops that are masked.")
    mask_ratio: Interval = Field(
        (0.1, 0.5), description="Smallest and largest share of masked patches."
    )
    ibot_weight: float = Field(1.0, ge=0, description="Weight of the masked-patch loss.")
    koleo_weight: float = Field(0.1, ge=0, description="Weight of the KoLeo regulariser.")
    student_temperature: float = Field(0.1, gt=0, description="Temperature of the student.")
    teacher_temperature: tuple[Temperature, Temperature] = Field(
        (0.04, 0.07), description="Temperature of the teacher, at the start and after warm-up."
    )
    teacher_warmup: Fraction = Field(
        0.3, description="Share of the steps over which the teacher's temperature rises."
    )
    momentum: Interval = Field(
        (0.992, 1.0), description="Momentum of the teacher, at the start and at the end."
    )
    freeze_last_layer: Fraction = Field(
        0.01, description="Share of the steps during which the prototypes do not move."
    )
    layer_decay: float = Field(
        0.9, gt=0, le=1, description="Layer-wise decay of the learning rate."
    )
    weight_decay_end: float | None = Field(
        None,
        ge=0,
        description="Weight decay that optimiser.weight_decay reaches at the end along a cosine; "
        "null keeps it constant.",
    )


Recipe = Annotated[Unicl | Dinov2, Field(discriminator="paradigm")]


class Pretraining(Section):
    """An encoder, how it is trained, and on what."""

    encoder: Name = Field(description="Name of an entry of 'encoders'.")
    recipe: Recipe = Field(description="How it is trained.")
    supervision: Annotated[tuple[Literal["reports", "labels"], ...], Distinct] = Field(
        (), description="What the images are paired with; nothing for DINOv2."
    )

    @model_validator(mode="after")
    def _supervision_fits(self) -> Self:
        if self.recipe.paradigm == "unicl" and not self.supervision:
            raise ValueError(
                "supervision [] pairs images with nothing, and unicl needs pairs: give [reports], "
                "[labels] or both"
            )
        if self.recipe.paradigm == "dinov2" and self.supervision:
            raise ValueError(
                f"supervision {list(self.supervision)} is not used by dinov2, which learns from "
                "images only: remove it"
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
