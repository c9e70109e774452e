"""What every kind of task states about itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.archive import Labels
from radscale_lib.study.base import Section
from radscale_lib.study.heads.base import Encoding, HeadSection, Rates, rates_of

CHECKS = 20
"""Times that the validation loss of a training with `patience` is computed over its steps."""


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
        """The peak learning rates that are tried."""
        return rates_of(self.lr)

    @property
    def searches(self) -> bool:
        """Whether anything is chosen on the validation split."""
        return len(self.rates) > 1 or self.patience is not None

    @property
    def checks(self) -> int:
        """Times that the validation loss of a training is computed, at most."""
        return 0 if not self.searches else 1 if self.patience is None else CHECKS

    def encoding(self, trained: float, validated: float, tested: float, seeds: int = 1) -> Encoding:
        """What trainings on the same feature maps ask of the encoder; rates are of the first."""
        learnt = min(trained, self.train_images or trained)
        checked = min(validated, self.validation_images or validated) if self.searches else 0.0
        encoded = learnt + checked + min(tested, self.test_images or tested)
        trainings = len(self.rates) + seeds - 1
        seen = trainings * self.steps * self.batch
        read = seen + trainings * self.checks * checked
        return Encoding(encoded, learnt + checked, read, seen)


class TaskSection(Section):
    """A kind of task: its settings, and the facts that others ask for."""

    implementation: ClassVar[str]
    """Module with `predict(study, name, part, inputs)`, which gives a `Predicted` (of
    `radscale_lib.tasks.predictions`), and `predictions_schema(study, name)`. It imports no metric
    and nothing of `scoring`: a new metric or interval runs no encoder and no decoder."""
    scoring: ClassVar[str]
    """Module with `score(study, name, table, note)`, scores of a head's predictions; or with
    `prepare`, of the same arguments, which gives a `Scorable` (of `radscale_lib.tasks.scorable`),
    and by it scores of subgroups too. No torch."""
    tables: ClassVar[tuple[str, ...]] = ()
    """Further tables of its scoring: `tables(study, name, table, note)` gives them by name."""
    only_scored_by: ClassVar[tuple[str, ...]] = ()
    """Keys of the section that no prediction depends on."""
    needs: ClassVar[Literal["labels", "tubes", "reports"]]
    """The table of the institution that it learns from and is scored on."""

    kind: str

    @property
    def runs_encoder(self) -> bool:
        """Whether it runs the encoder on images; else it reads the pooled features alone."""
        return False

    @property
    def reads_features(self) -> bool:
        """Whether it reads the pooled features."""
        return not self.runs_encoder

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its heads, as the scores name them."""
        return ("default",)

    @property
    def only_head(self) -> str | None:
        """The head that is fitted and drawn where the study names none; None if it has several."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def parts(self) -> tuple[str, ...]:
        """Its heads as they are predicted, each kept by itself."""
        return self.head_names

    def head(self, part: str) -> HeadSection | None:
        """The section of one of its parts, if it has one."""
        return None

    def unread_by(self, part: str) -> set[str]:
        """Keys of the section that the predictions of a part do not depend on."""
        return set(self.only_scored_by)

    @property
    def decoder_seeds(self) -> int | None:
        """Seeds that each of its decoders is trained from; None if it has none."""
        return None

    def head_kinds(self) -> Iterator[type[HeadSection]]:
        """The kinds of its heads, if it has any."""
        yield from ()

    @property
    def names(self) -> str | None:
        """The key of `labels` with the labels that it scores; None if it can do without."""
        return None

    def targets(self, labels: Labels) -> tuple[str, ...]:
        """The labels that it scores one by one."""
        return () if self.names is None else tuple(getattr(labels, self.names))

    def title(self, words: str) -> str:
        """What the task is called in a heading; `words` is its name in the study."""
        raise NotImplementedError

    def encoding(self, trained: float, validated: float, tested: float) -> Encoding:
        """What its heads require of the encoder, with this many images in each split."""
        heads = filter(None, map(self.head, self.parts))
        return Encoding.in_turn(head.encoding(trained, validated, tested) for head in heads)

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Keys below the section, and the folders that must be there."""
        yield from ()

    def scoring_folders(self) -> Iterator[tuple[str, Path]]:
        """Keys below the section, and the folders that scoring alone reads."""
        yield from ()

    def folder_problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong in those folders that are there, as key below the section, and message."""
        yield from ()

    def packages(self) -> Iterator[tuple[str, str, str]]:
        """Optional packages that its settings need: key below the section, package, and remedy."""
        yield from ()

    def problems(self, labels: Labels) -> Iterator[tuple[str, str]]:
        """Settings that contradict the labels, as key below the section, and message."""
        yield from ()
