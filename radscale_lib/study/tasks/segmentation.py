"""Segmentation: decoders on the four levels."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Name
from radscale_lib.study.decoders import MaskDecoder
from radscale_lib.study.decoders.pyramid import PyramidDecoder
from radscale_lib.study.heads.base import Encoding, HeadSection
from radscale_lib.study.tasks.base import Decoder, TaskSection


class SeededDecoder(Decoder):
    """Training of a mask decoder on a frozen encoder, from one or more seeds."""

    seeds: int = Field(
        1,
        ge=1,
        le=20,
        description="How often each decoder is trained, from other initial weights and batches; "
        "the score is their mean, and with two or more their variance is in its "
        "interval.",
    )


class Segmentation(TaskSection):
    """Tube masks from the four feature levels through decoders; Dice, clDice and others."""

    implementation: ClassVar[str] = "radscale_lib.tasks.segmentation"
    scoring: ClassVar[str] = "radscale_lib.tasks.mask_scoring"
    tables: ClassVar[tuple[str, ...]] = ("masks",)
    only_scored_by: ClassVar[tuple[str, ...]] = (
        *("tolerance", "surface_mm", "surface_share", "false_area"),
    )
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "tubes"

    kind: Literal["segmentation"]
    decoder: SeededDecoder
    heads: dict[Name, MaskDecoder] = Field(
        {"pyramid": PyramidDecoder(kind="pyramid")},
        min_length=1,
        description="Decoders by name, each with rows of its own in the scores; if there are "
        "several, scaling.heads names the one that is fitted and drawn.",
    )
    output_size: int = Field(
        256,
        ge=16,
        description="Shorter side of a film's masks, pixels, and side of what a decoder predicts "
        "in the encoder's square.",
    )
    unseen: Literal["missed", "padded"] = Field(
        "missed",
        description="How parts of a film that an encoder would cut off are treated: missed "
        "(nothing is predicted there), or padded (the encoder sees the whole film, "
        "padded to a square).",
    )
    tube_width: float = Field(
        0.012,
        gt=0,
        lt=0.2,
        description="Width a polyline is drawn with, as a share of the film's shorter side.",
    )
    tolerance: int = Field(
        1, ge=0, description="Tolerance of clDice and continuity, pixels of the mask."
    )
    surface_mm: float = Field(
        2.0, gt=0, description="Tolerance of surface Dice on films of known spacing, mm."
    )
    surface_share: float = Field(
        0.005,
        gt=0,
        lt=0.2,
        description="Tolerance of surface Dice on other films, as a share of their shorter side.",
    )
    false_area: float = Field(
        0.0005,
        ge=0,
        lt=1,
        description="Smallest share of a film for a predicted mask to count in false_tubes.",
    )

    @property
    def runs_encoder(self) -> bool:
        """Always true: decoders read grids, which are not kept."""
        return True

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its decoders."""
        return tuple(self.heads)

    def head(self, part: str) -> HeadSection:
        """The section of a decoder."""
        return self.heads[part]

    def unread_by(self, part: str) -> set[str]:
        """The other decoders, and keys on which masks do not depend."""
        return {"heads", *self.only_scored_by}

    @property
    def decoder_seeds(self) -> int:
        """Number of seeds for each decoder."""
        return self.decoder.seeds

    def head_kinds(self) -> Iterator[type[HeadSection]]:
        """The kinds of its decoders."""
        yield from map(type, self.heads.values())

    @property
    def names(self) -> str:
        """The key of `labels` with the labels that it scores."""
        return "tubes"

    def title(self, words: str) -> str:
        """The task's name in a heading."""
        return words if "segmentation" in words else f"{words} segmentation"

    def encoding(self, trained: float, validated: float, tested: float) -> Encoding:
        """The decoders' use of the encoder, with this many images in each split."""
        return Encoding.in_turn(
            self.training(head).encoding(trained, validated, tested, self.decoder.seeds)
            for head in self.heads
        )

    def training(self, head: str) -> SeededDecoder:
        """Training settings of a decoder: the task's, with its own rates if it has any."""
        rates = self.heads[head].lr
        return self.decoder if rates is None else self.decoder.model_copy(update={"lr": rates})
