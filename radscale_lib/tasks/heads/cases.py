"""The inputs and outputs of a head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.pseudonyms import unit_interval
from radscale_lib.study.heads.base import FeatureSet
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.tasks.features import Vectors, names_of, pooled
from radscale_lib.tasks.images import NoCasesError
from radscale_lib.tasks.inputs import Inputs


@dataclass(frozen=True)
class Answer:
    """A head's logits of the requested images.

    Attributes:
        logits: float32 [n, K], of the rows `Cases.asked`; None if the encoder cannot have this
            head.
        note: what was chosen on validation, and whether it is at the edge of the values tried; or
            why there are no logits.
        elsewhere: by test archive, logits of all its rows in `Cases.elsewhere`.
    """

    logits: NDArray[np.float32] | None
    note: str
    elsewhere: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Films:
    """The images of an archive with their pooled features.

    Attributes:
        inputs: the run's files for this archive.
        index: a row for each of the N images: image_id, patient_id.
        vectors: float16 [N, C] by name of the feature.
        truth: float32 [N, K], 1, 0 or NaN (unknown).
    """

    inputs: Inputs
    index: pl.DataFrame
    vectors: Vectors
    truth: NDArray[np.float32]

    def pooled(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Concatenated features: float32 [N, D]."""
        return pooled(self.vectors, names)

    def places(self) -> pl.DataFrame:
        """Catalog rows of the images, for `FrozenEncoder`."""
        catalog = pl.read_parquet(self.inputs.catalog, columns=["image_id", "shard", "row"])
        return self.index.select("image_id").join(catalog, on="image_id", maintain_order="left")


@dataclass(frozen=True, kw_only=True)
class Cases(Films):
    """The images of a task that have labels: their features, truth and split.

    Attributes:
        study: the study.
        task: the task's name.
        labels: K names.
        split: [N], `train`, `validation` or `test`.
        train: training rows.
        elsewhere: images of each test archive that has labels of the task, by name.
    """

    study: Study
    task: str
    labels: Sequence[str]
    split: NDArray[np.object_]
    train: NDArray[np.intp]
    elsewhere: Mapping[str, Films] = field(default_factory=dict)

    def sets(self, tried: Sequence[FeatureSet]) -> dict[str, tuple[str, ...]]:
        """Names of the features of each set to try, without duplicates."""
        sets: dict[tuple[str, ...], str] = {}
        for which in tried:
            sets.setdefault(names_of(which, self.study.evaluation.features), which)
        return {which: names for names, which in sets.items()}

    @property
    def section(self) -> Classification:
        """The task's section of the study."""
        section = self.study.evaluation.tasks[self.task]
        assert isinstance(section, Classification)
        return section

    @cached_property
    def asked(self) -> NDArray[np.intp]:
        """Rows whose logits are requested: validation and test."""
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
        """The same cases with a share of the training patients, at least one.

        The first by keyed hash, so that for every encoder smaller shares are contained in larger
        ones.
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
