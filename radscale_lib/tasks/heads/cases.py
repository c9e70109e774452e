"""What a head is given, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.pseudonyms import unit_interval
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.tasks.images import NoCasesError
from radscale_lib.tasks.inputs import Inputs


@dataclass(frozen=True)
class Answer:
    """What a head says of the images that are asked for.

    Attributes:
        logits: float32 [n, K], of the rows `Cases.asked`; None if the encoder cannot have this
            head.
        note: what was chosen on validation, and whether that is at the edge of what was tried; or
            why there are no logits.
    """

    logits: NDArray[np.float32] | None
    note: str


@dataclass(frozen=True)
class Cases:
    """The images of a task that have labels: their features, truth and split.

    Attributes:
        study: the study.
        task: the task's name.
        inputs: the run's files.
        labels: K names.
        index: a row for each of the N images: image_id, patient_id.
        pooled: float32 [N, D], pooled features.
        truth: float32 [N, K], 1, 0 or NaN (unknown).
        split: [N], `train`, `validation` or `test`.
        train: rows that are learnt from.
    """

    study: Study
    task: str
    inputs: Inputs
    labels: Sequence[str]
    index: pl.DataFrame
    pooled: NDArray[np.float32]
    truth: NDArray[np.float32]
    split: NDArray[np.object_]
    train: NDArray[np.intp]

    @property
    def section(self) -> Classification:
        """The task's section of the study."""
        section = self.study.evaluation.tasks[self.task]
        assert isinstance(section, Classification)
        return section

    @cached_property
    def asked(self) -> NDArray[np.intp]:
        """Rows whose logits are asked for: validation and test."""
        return np.flatnonzero(self.split != "train")

    @cached_property
    def validation(self) -> NDArray[np.intp]:
        """Rows on which heads choose.

        Raises:
            NoCasesError: if there are none.
        """
        rows = np.flatnonzero(self.split == "validation")
        require(len(rows), self.task, "validation")
        return rows

    def share(self, share: float) -> "Cases":
        """The same with a share of the training patients, at least one.

        The first by keyed hash: the smaller share is within the larger, for every encoder.
        """
        patients = self.index["patient_id"].to_numpy()[self.train]
        order = sorted(set(patients), key=lambda one: (unit_interval(one, "label share"), one))
        kept = set(order[: ceil(share * len(order) - 1e-9)])
        return replace(self, train=self.train[[patient in kept for patient in patients]])


def require(images: int, task: str, split: str) -> None:
    """Check that a split has images.

    Raises:
        NoCasesError: naming the task, the split and the remedy.
    """
    if not images:
        raise NoCasesError(
            f"task {task}: no image of the {split} split has labels: provide them, raise "
            f"splits.{split}, or remove the task"
        )


def chosen(name: str, value: float, tried: Sequence[float]) -> str:
    """`<name> <value>`, with a warning if it is at the edge of two or more that were tried."""
    edge = len(tried) > 1 and value in (min(tried), max(tried))
    return f"{name} {value:g}{' (at the edge of what was tried)' if edge else ''}"
