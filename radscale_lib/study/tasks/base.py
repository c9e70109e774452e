"""The interface of task kinds."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.archive import Labels
from radscale_lib.study.base import Section
from radscale_lib.study.heads.base import Encoding, HeadSection, Rates, rates_of

CHECKS = 20
"""Number of times that a training with `patience` computes the validation loss."""


class Decoder(Section):
    """Training of a decoder on a frozen encoder."""

    steps: int = Field(ge=1, description="Optimiser steps.")
    batch: int = Field(ge=1, description="Images per step.")
    lr: Rates = Field(
        description="Peak learning rate, or a list of rates to try, from the same initial weights "
        "and on the same batches; chosen on the validation split."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="A training ends after so many validation losses, of "
        f"{CHECKS} over its steps, without a lower one, and the weights of the lowest are kept; "
        "null trains all steps and keeps the last.",
    )
    train_images: int | None = Field(
        20_000, ge=2, description="Training images used (first by keyed hash); null uses all."
    )
    validation_images: int | None = Field(
        1_000,
        ge=1,
        description="Validation images used where something is chosen (first by keyed hash); null "
        "uses all.",
    )
    test_images: int | None = Field(
        None, ge=2, description="Test images scored (first by keyed hash); null uses all."
    )

    @property
    def rates(self) -> tuple[float, ...]:
        """The peak learning rates to try."""
        return rates_of(self.lr)

    @property
    def searches(self) -> bool:
        """Whether anything is chosen on the validation split."""
        return len(self.rates) > 1 or self.patience is not None

    @property
    def checks(self) -> int:
        """Maximum number of times that a training computes the validation loss."""
        return 0 if not self.searches else 1 if self.patience is None else CHECKS

    def encoding(self, trained: float, validated: float, tested: float, seeds: int = 1) -> Encoding:
        """Use of the encoder by trainings on the same feature maps; the first one tries rates."""
        learnt = min(trained, self.train_images or trained)
        checked = min(validated, self.validation_images or validated) if self.searches else 0.0
        encoded = learnt + checked + min(tested, self.test_images or tested)
        trainings = len(self.rates) + seeds - 1
        seen = trainings * self.steps * self.batch
        read = seen + trainings * self.checks * checked
        return Encoding(encoded, learnt + checked, read, seen)


class TaskSection(Section):
    """A kind of task: its settings and facts."""

    implementation: ClassVar[str]
    """Module with `predict(study, name, part, inputs)`, which returns a `Predicted` (from
    `radscale_lib.tasks.predictions`), and `predictions_schema(study, name)`. It imports no metrics
    and nothing from `scoring`, so that a new metric or interval reruns no encoder or decoder."""
    scoring: ClassVar[str]
    """Module, without torch, with `score(study, name, table, note)`, which returns scores of a
    head's predictions; or with `prepare`, with the same arguments, which returns a `Scorable` (from
    `radscale_lib.tasks.scorable`), which also allows scores of subgroups."""
    tables: ClassVar[tuple[str, ...]] = ()
    """Further tables of its scoring, which `tables(study, name, table, note)` returns by name."""
    only_scored_by: ClassVar[tuple[str, ...]] = ()
    """Keys of the section on which no prediction depends."""
    needs: ClassVar[Literal["labels", "tubes", "reports"]]
    """The institution's table that it needs for training and scoring."""

    kind: str

    @property
    def runs_encoder(self) -> bool:
        """Whether it runs the encoder on images; otherwise it only reads pooled features."""
        return False

    @property
    def reads_features(self) -> bool:
        """Whether it reads the pooled features."""
        return not self.runs_encoder

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its heads, by their names in the scores."""
        return ("default",)

    @property
    def only_head(self) -> str | None:
        """The head that is fitted and drawn if the study names none; None if it has several."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def parts(self) -> tuple[str, ...]:
        """Its separately predicted and kept parts, one per head."""
        return self.head_names

    def head(self, part: str) -> HeadSection | None:
        """The section of one of its parts, if any."""
        return None

    def unread_by(self, part: str) -> set[str]:
        """Keys of the section on which the predictions of a part do not depend."""
        return set(self.only_scored_by)

    @property
    def decoder_seeds(self) -> int | None:
        """Number of seeds for each of its decoders; None if it has none."""
        return None

    def head_kinds(self) -> Iterator[type[HeadSection]]:
        """The kinds of its heads, if it has any."""
        yield from ()

    @property
    def names(self) -> str | None:
        """The key of `labels` with the labels that it scores; None if it needs none."""
        return None

    def targets(self, labels: Labels) -> tuple[str, ...]:
        """The labels that it scores individually."""
        return () if self.names is None else tuple(getattr(labels, self.names))

    def title(self, words: str) -> str:
        """The task's name in a heading; `words` is its name in the study."""
        raise NotImplementedError

    def encoding(self, trained: float, validated: float, tested: float) -> Encoding:
        """The heads' use of the encoder, with this many images in each split."""
        heads = filter(None, map(self.head, self.parts))
        return Encoding.in_turn(head.encoding(trained, validated, tested) for head in heads)

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Keys below the section, with folders that must exist."""
        yield from ()

    def scoring_folders(self) -> Iterator[tuple[str, Path]]:
        """Keys below the section, with folders that only scoring reads."""
        yield from ()

    def folder_problems(self) -> Iterator[tuple[str, str]]:
        """Problems of existing folders: key below the section, and message."""
        yield from ()

    def packages(self) -> Iterator[tuple[str, str, str]]:
        """Optional packages that its settings need: key below the section, package, and remedy."""
        yield from ()

    def problems(self, labels: Labels) -> Iterator[tuple[str, str]]:
        """Settings that contradict the labels: key below the section, and message."""
        yield from ()
