"""Tasks: how a frozen encoder is evaluated."""

from math import isqrt
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from radscale_lib.study.base import Distinct, Name, Section, whole_heads

Level = Annotated[int, Field(ge=1, le=4)]


class Features(Section):
    """Pooled features of a frozen encoder, shared by the classification tasks."""

    pool: Annotated[tuple[Literal["mean", "cls"], ...], Distinct] = Field(
        ("mean", "cls"),
        min_length=1,
        description="Poolings that are concatenated: mean over the grid; the encoder's own global "
        "embedding (class token, or MI2's pooled output).",
    )
    levels: Annotated[tuple[Level, ...], Distinct] = Field(
        (4,), min_length=1, description="Levels that are concatenated, of 1 to 4."
    )
    batch: int = Field(64, ge=1, description="Images per forward pass.")


class Classification(Section):
    """Multi-label logistic probe on pooled features; AUROC and AUPRC."""

    kind: Literal["classification"]
    target: Literal["findings", "tubes"] = Field(description="Label columns to predict.")
    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4),
        min_length=1,
        description="L2 penalties tried; chosen on the validation split.",
    )


class Decoder(Section):
    """Training of a decoder on a frozen encoder."""

    steps: int = Field(ge=1, description="Optimiser steps.")
    batch: int = Field(ge=1, description="Images per step.")
    lr: float = Field(gt=0, description="Peak learning rate.")
    train_images: int | None = Field(
        None, ge=2, description="Training images used (first by keyed hash); null takes all."
    )
    test_images: int | None = Field(
        None, ge=2, description="Test images scored (first by keyed hash); null takes all."
    )


class Segmentation(Section):
    """Tube masks from the four feature levels through a small pyramid decoder; Dice, clDice."""

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


class LanguageModel(Section):
    """A causal language model trained from scratch, for archives without a released one."""

    vocabulary: int = Field(512, ge=256, description="Byte-pair tokens learnt from the reports.")
    width: int = Field(128, ge=8, description="Width of the transformer.")
    layers: int = Field(3, ge=1, description="Layers of the transformer.")
    heads: int = Field(4, ge=1, description="Attention heads.")

    @model_validator(mode="after")
    def _divisible(self) -> "LanguageModel":
        whole_heads(self.width, self.heads)
        return self


def _released_or_scratch(value: Any) -> str:
    return "released" if isinstance(value, str | Path) else "scratch"


class Generation(Section):
    """Report generation: visual tokens, a projector and a causal language model."""

    kind: Literal["generation"]
    decoder: Decoder
    section: Literal["findings", "impression"] = Field("findings", description="Section written.")
    language_model: Annotated[
        Annotated[LanguageModel, Tag("scratch")] | Annotated[Path, Tag("released")],
        Discriminator(_released_or_scratch),
    ] = Field(
        LanguageModel(), description="A small model from scratch, or a folder in Hugging Face form."
    )
    lora_rank: int = Field(
        0,
        ge=0,
        description="Rank of LoRA adapters on a released model; 0 trains the projector only.",
    )
    visual_tokens: int = Field(
        64,
        ge=1,
        description="Visual tokens given to the language model, at most: a square number.",
    )
    max_tokens: int = Field(100, ge=4, description="Longest report, tokens.")
    phrases: dict[str, tuple[str, ...]] = Field(
        {},
        description="Further phrases that mention a label in a report, by label name, for "
        "lexical F1; an ellipsis (…) stands for up to four words.",
    )

    @field_validator("visual_tokens")
    @classmethod
    def _square(cls, tokens: int) -> int:
        side = isqrt(tokens)
        if side**2 != tokens:
            raise ValueError(f"no square number: take {side**2} or {(side + 1) ** 2}")
        return tokens

    @model_validator(mode="after")
    def _adapters_adapt(self) -> "Generation":
        if self.lora_rank and isinstance(self.language_model, LanguageModel):
            raise ValueError(
                f"lora_rank {self.lora_rank} adapts a released language model and this one is "
                "trained from scratch: set it to 0, or language_model to a folder"
            )
        return self


Task = Annotated[Classification | Segmentation | Generation, Field(discriminator="kind")]


class Evaluation(Section):
    """The evaluation protocol, the same for every encoder."""

    features: Features = Features()
    resamples: int = Field(
        1000, ge=20, description="Bootstrap resamples of test patients, drawn jointly for all runs."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of every interval.")
    seed: int = Field(0, ge=0, description="Seed of the resamples and of the decoders.")
    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks by name.")
