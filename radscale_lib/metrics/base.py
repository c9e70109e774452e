"""What a metric states about itself.

A metric belongs to a kind of task, which calls it with what it has:

- `classification`: `RankingMetric`, from the ranked logits of a label under weights;
- `segmentation`: `OverlapMetric`, from sums over images of pixel counts;
- `generation`: `TextMetric`, from sums over reports of its own statistics.

Each is computed for many bootstrap resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.integer]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of merit; larger is better.

    Attributes:
        name: as in the scores table and the study file.
        title: as printed on an axis, of the mean over labels where there are labels.
        chance: its value for an encoder that knows nothing; None where that depends on the data.
        needs_phrases: whether it reads reports by phrases, which some languages lack.
    """

    task: ClassVar[str]
    """Kind of task that it belongs to."""

    name: str
    title: str
    chance: float | None = None
    needs_phrases: bool = False


class Ranked(Protocol):
    """A label's images by falling logit, under B rows of whole-numbered weights.

    T blocks are the positives' distinct logits.
    """

    @property
    def positives(self) -> Counts:
        """[B, T], weight of the positives at or above each block."""

    @property
    def new_positives(self) -> Counts:
        """[B, T], weight of the positives of each block."""

    @property
    def negatives(self) -> Counts:
        """[B, T], weight of the negatives at or above each block."""

    @property
    def tied_negatives(self) -> Counts:
        """[B, T], weight of the negatives with the logit of each block."""

    @property
    def all_positives(self) -> Counts:
        """[B], weight of all positives."""

    @property
    def all_negatives(self) -> Counts:
        """[B], weight of all negatives."""

    @property
    def precision(self) -> Floats:
        """[B, T], share of positives at or above each block; 0 where nothing has weight."""


@dataclass(frozen=True, kw_only=True)
class RankingMetric(Metric):
    """A metric of ranked images.

    Attributes:
        of: [B] from the ranking; the caller marks rows without positives or negatives undefined.
    """

    task: ClassVar[str] = "classification"
    of: Callable[[Ranked], Floats]


@dataclass(frozen=True, kw_only=True)
class OverlapMetric(Metric):
    """A metric of masks.

    Attributes:
        of: [...] from sums [..., 7] of the counts of `radscale_lib.tasks.overlap`; NaN where no
            true pixel is in the sum.
    """

    task: ClassVar[str] = "segmentation"
    of: Callable[[Floats], Floats]


class ReportPairs(Protocol):
    """N generated reports with their references."""

    @property
    def generated(self) -> list[str]:
        """Generated texts."""

    @property
    def references(self) -> list[str]:
        """Reference texts."""

    @property
    def claims(self) -> NDArray[np.int64]:
        """What both say of each of the K labels: counts [N, K, 3] of `tasks.lexical`."""


@dataclass(frozen=True, kw_only=True)
class TextMetric(Metric):
    """A metric of reports.

    Attributes:
        statistics: [N, C] of N reports; [N, K, C] where `by_label`.
        of: [...] from sums [..., C] of the statistics.
        by_label: whether it has a value for each label, of which the macro value is the mean.
        positives: number of reports that count as positive, from the counts [N, C] of a label.
    """

    task: ClassVar[str] = "generation"
    statistics: Callable[[ReportPairs], NDArray[Any]]
    of: Callable[[Floats], Floats]
    by_label: bool = False
    positives: Callable[[NDArray[Any]], int] | None = None
