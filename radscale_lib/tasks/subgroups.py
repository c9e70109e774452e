"""Scores of groups of test images, of the worst group, and its gap to the best."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.subsets.card import merged
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.differences import paired_difference
from radscale_lib.tasks.scores import MACRO, MICRO, Score, macro, smaller_is_better

UNKNOWN = "unknown"
"""Group of the images with an unknown property."""
SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "metric": pl.String(),
        "by": pl.String(),
        "kind": pl.String(),
        "group": pl.String(),
        "other": pl.String(),
        "value": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "cases": pl.Int64(),
        "positives": pl.Int64(),
        "note": pl.String(),
    }
)
"""Columns that define subgroups (docs/reference/data-contracts.md)."""
Scorer = Callable[[NDArray[np.intp], PatientDraws], Sequence[Score]]
"""Function that scores a subset of the test images, by position, for draws of their patients."""


@dataclass(frozen=True)
class Grouping:
    """Test images grouped by a property.

    Attributes:
        by: the property.
        groups: positions of each group's images, by name.
        target: the only label that is scored; None: all.
    """

    by: str
    groups: Mapping[str, NDArray[np.intp]]
    target: str | None = None


def groupings(images: pl.DataFrame, by: Sequence[str], smallest: int = 1) -> Iterator[Grouping]:
    """Groups of test images by properties of the catalog.

    Values shared by fewer than `smallest` patients are merged (`subsets.card.merged`). A property
    with the same value for all makes no groups.

    Args:
        images: a row for each test image: patient_id, and the properties.
        by: columns; missing ones are left out.
        smallest: minimum number of patients in a group.
    """
    for name in by:
        if name not in images.columns:
            continue
        texts = images.select("patient_id", pl.col(name).cast(pl.String).fill_null(UNKNOWN))
        groups = {
            group: np.flatnonzero(texts[name].is_in(values).to_numpy())
            for group, values in merged(texts, texts, name, smallest).items()
        }
        if len(groups) > 1:
            yield Grouping(name, groups)


def shortcut(
    finding: str, tube: str, found: NDArray[np.floating], placed: NDArray[np.floating]
) -> Grouping:
    """Images with a finding and a tube, and with the finding only, each plus all without it.

    A model may see a treatment instead of the finding, such as the drain instead of a treated
    pneumothorax (Oakden-Rayner et al. 2020). All images without the finding are in both groups.

    Args:
        finding: label.
        tube: label.
        found: [N], whether a test image has the finding: 1, 0 or NaN (unknown).
        placed: [N], whether it has the tube.
    """
    groups = {
        f"{words} {tube}": np.flatnonzero((found == 0) | ((found == 1) & (placed == has)))
        for words, has in (("with", 1), ("without", 0))
    }
    return Grouping(f"{finding} by {tube}", groups, finding)


def subgroup_scores(
    grouping: Grouping,
    score: Scorer,
    draws: PatientDraws,
    confidence: float,
    smallest: int = 1,
) -> pl.DataFrame:
    """Scores of each group, of the worst, and its gap to the best.

    Thresholds are those of all validation images. A macro mean is over the labels that have an
    interval in every group. Intervals of `worst` and `gap` hold for all groups, or pairs, at once
    (Bonferroni), since the extremes were selected from the data.

    Args:
        grouping: of the N test images.
        score: of some of them.
        draws: of all of them.
        confidence: level of the intervals.
        smallest: minimum number of positive, and of negative, images for a count to be shown:
            labels with fewer in a group are left out there, and their positives in all groups.

    Returns:
        Rows of `SCHEMA`.
    """
    found = {
        group: {
            (one.metric, one.target): one
            for one in score(images, draws.of(images))
            if grouping.target in (None, one.target)
        }
        for group, images in grouping.groups.items()
    }
    return compared(grouping.by, _with_means(found), confidence, smallest)


def compared(
    by: str, found: Mapping[str, Mapping[tuple[str, str], Score]], confidence: float, smallest: int
) -> pl.DataFrame:
    """Rows of the scores of groups, of the worst and of the gap: see `subgroup_scores`.

    Args:
        by: the property that defines the groups.
        found: scores by group, and by metric and target.
        confidence: level of the intervals.
        smallest: minimum number of images for a count to be shown.
    """
    keys = list(dict.fromkeys(key for scores in found.values() for key in scores))
    few = {
        (group, target)
        for group, scores in found.items()
        for (_, target), one in scores.items()
        if one.positives is not None
        and any(0 < n < smallest for n in (one.positives, one.cases - one.positives))
        and target not in (MACRO, MICRO)
    }
    silent = {target for _, target in few}
    rows = []
    for metric, target in keys:
        of_key = {
            group: scores[metric, target]
            for group, scores in found.items()
            if (metric, target) in scores and (group, target) not in few
        }
        told = target not in silent and not (silent and target in (MACRO, MICRO))
        for group, one in of_key.items():
            ends = one.interval(confidence)
            rows.append(_row(one, by, "group", group, None, (one.value, *ends), told))
        sure = {group: one for group, one in of_key.items() if _is_sure(one)}
        if len(sure) > 1:
            rows += _extremes(by, sure, confidence, told)
    table = pl.DataFrame(rows, schema=SCHEMA)
    return table.with_columns(pl.col("value", "lower", "upper").fill_nan(None))


def _with_means(
    found: Mapping[str, Mapping[tuple[str, str], Score]],
) -> dict[str, dict[tuple[str, str], Score]]:
    """The scores, with means over the labels that have a score in every group."""
    targets: dict[str, list[str]] = {}
    for scores in found.values():
        for metric, target in scores:
            listed = targets.setdefault(metric, [])
            if target not in (*listed, MICRO, MACRO):
                listed.append(target)
    whole = {group: dict(scores) for group, scores in found.items()}
    for metric, labels in targets.items():
        if not labels:  # of whole reports
            continue
        kept = [
            label
            for label in labels
            if all(_is_sure(scores.get((metric, label))) for scores in found.values())
        ]
        for group, scores in found.items():
            mean = whole[group].pop((metric, MACRO), None)
            if kept and mean is not None:
                of_labels = [scores[metric, label] for label in kept]
                whole[group][metric, MACRO] = macro(of_labels, max(s.cases for s in of_labels))
    return whole


def _is_sure(score: Score | None) -> bool:
    return score is not None and not score.note and bool(np.isfinite(score.value))


def _extremes(
    by: str, sure: Mapping[str, Score], confidence: float, told: bool
) -> Iterator[dict[str, object]]:
    """The worst group, and its gap to the best."""
    smaller = smaller_is_better(next(iter(sure.values())).metric)
    order = sorted(sure, key=lambda group: sure[group].value, reverse=smaller)
    worst, best = order[0], order[-1]
    pairs = len(list(combinations(order, 2)))
    at_once = 1 - (1 - confidence) / len(order)
    one = sure[worst]
    yield _row(one, by, "worst", worst, None, (one.value, *one.interval(at_once)), told)
    high, low = (worst, best) if smaller else (best, worst)
    gap = paired_difference(sure[high], sure[low], 1 - (1 - confidence) / pairs)
    yield _row(one, by, "gap", worst, best, gap, told)


def _row(
    one: Score,
    by: str,
    kind: str,
    group: str,
    other: str | None,
    found: tuple[float, float, float],
    told: bool,
) -> dict[str, object]:
    value, lower, upper = found
    return {
        "target": one.target,
        "metric": one.metric,
        "by": by,
        "kind": kind,
        "group": group,
        "other": other,
        "value": value,
        "lower": lower,
        "upper": upper,
        "cases": one.cases if kind == "group" else None,
        "positives": one.positives if told and kind == "group" else None,
        "note": one.note if kind == "group" else None,
    }
