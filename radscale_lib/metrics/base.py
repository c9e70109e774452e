"""The interface of metrics.

A metric belongs to a kind of task, which calls it with its own statistics:

- `classification`: `RankingMetric`, from the ranked logits of a label under weights;
- `segmentation`: `MaskMetric`, from sums over images of its own statistics;
- `generation`: `TextMetric`, from sums over reports of its own statistics;
- `retrieval`: `RecallMetric`, the share of queries with a right answer among the first.

Each is computed for many bootstrap resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.integer]
    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric; larger is better, unless it is an error.

    Attributes:
        name: as in the scores table and the study file.
        title: as printed on an axis, of the mean over labels where there are labels.
        chance: its value for an uninformative encoder; None if that depends on the data.
        needs_phrases: whether it reads reports by phrases, which some languages lack.
        is_error: whether smaller is better; scaling laws are not fitted to such a metric.
        weights: key of the task that names the folder of its weights; without it the metric is not
            scored.
    """

    task: ClassVar[str]
    """Kind of task that it belongs to."""

    name: str
    title: str
    chance: float | None = None
    needs_phrases: bool = False
    is_error: bool = False
    weights: str | None = None


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


class MaskPair(Protocol):
    """The predicted and the true mask of a tube in one film [H, W], with tolerances."""

    @property
    def predicted(self) -> Mask:
        """The predicted mask."""

    @property
    def true(self) -> Mask:
        """The true mask."""

    @property
    def predicted_line(self) -> Mask:
        """Centre line of the predicted mask."""

    @property
    def true_line(self) -> Mask:
        """Centre line of the true mask."""

    @property
    def near_predicted(self) -> Mask:
        """Pixels within the tolerance of the predicted mask."""

    @property
    def near_true(self) -> Mask:
        """Pixels within the tolerance of the true mask."""

    @property
    def tips(self) -> Floats:
        """[n, 2], true tips, (x, y) in pixels from the upper left corner; none of an area."""

    @property
    def side(self) -> int:
        """Shorter side of the film, pixels."""

    @property
    def millimetres(self) -> float | None:
        """Millimetres per pixel; None if not known for the film."""

    @property
    def surface_tolerance(self) -> float:
        """Tolerance between outlines, pixels."""

    @property
    def least_area(self) -> float:
        """Minimum number of pixels for a predicted mask to count as a tube."""


@dataclass(frozen=True, kw_only=True)
class MaskMetric(Metric):
    """A metric of masks.

    Attributes:
        statistics: C numbers per pair, which add up over films.
        of: [...] from sums [..., C] of the statistics; NaN where it is undefined.
        counted: which of the statistics is above 0 in the films that count in a score.
        share: whether the metric is a share of those films.
        most: its largest possible value.
    """

    task: ClassVar[str] = "segmentation"
    statistics: Callable[[MaskPair], Sequence[float]]
    of: Callable[[Floats], Floats]
    counted: int
    share: bool = False
    most: float = 1.0


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
        """What both say about each of the K labels: counts [N, K, 3] of `tasks.lexical`."""

    @property
    def weights(self) -> Mapping[str, Path]:
        """Folders of weights that the task names, by key."""


@dataclass(frozen=True, kw_only=True)
class TextMetric(Metric):
    """A metric of reports.

    Attributes:
        statistics: [N, C] of N reports; where `by_label` [N, K, 3], 1 or 0 each: whether what is
            said of a label is a true positive, a false positive, a false negative.
        of: [...] from sums [..., C] of the statistics.
        by_label: whether it is F1 of the claims about each label, with their mean as macro value.
        labels: names of the K labels if they are the metric's own; otherwise the study's are used.
        rests_on: [N], from the statistics [N, C], the reports without which the score would be
            about 0: with such reports of few patients there is no interval. None: all reports.
    """

    task: ClassVar[str] = "generation"
    statistics: Callable[[ReportPairs], NDArray[Any]]
    of: Callable[[Floats], Floats]
    by_label: bool = False
    labels: tuple[str, ...] | None = None
    rests_on: Callable[[NDArray[Any]], Mask] | None = None


@dataclass(frozen=True, kw_only=True)
class RecallMetric(Metric):
    """Share of queries that have a right answer among the first.

    Attributes:
        at: number of first answers that count.
    """

    task: ClassVar[str] = "retrieval"
    at: int
