"""Scores of groups of test images, the worst group, and the gap to the best."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.subsets.card import merged
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.differences import paired_difference
from radscale_lib.tasks.scores import MACRO, MICRO, SMALLER_IS_BETTER, Score, macro

UNKNOWN = "unknown"
"""Group of the images of which a property is not known."""
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
"""Columns that tell of a subgroup: see docs/data-contracts.md."""
Mask = NDArray[np.bool_]
Scorer = Callable[[pl.DataFrame, PatientDraws], Sequence[Score]]
"""Scores of some rows of a table of predictions, under draws of their patients."""


@dataclass(frozen=True)
class Grouping:
    """Parts of a table of predictions by a property of its test images.

    Attributes:
        by: the property.
        parts: by name of the group, its rows with those of validation, and draws of its test
            images' patients.
        target: the only label that is scored; None: all.
    """

    by: str
    parts: Mapping[str, tuple[pl.DataFrame, PatientDraws]]
    target: str | None = None


def groupings(
    table: pl.DataFrame,
    images: pl.DataFrame,
    by: Sequence[str],
    draws: PatientDraws,
    smallest: int = 1,
) -> Iterator[Grouping]:
    """Groups of test images by properties of the catalog.

    What fewer patients than `smallest` share is merged (`subsets.card.merged`). A property that
    all share makes no groups. Thresholds are those of all validation images.

    Args:
        table: predictions of validation images, if any (`split`), and of the N test images.
        images: a row for each test image, in their order: patient_id, and the properties.
        by: columns; those that are not there are left out.
        draws: of the test images.
        smallest: patients of a group, at least.
    """
    tested = _tested(table)
    tests = np.flatnonzero(tested)
    for name in by:
        if name not in images.columns:
            continue
        texts = images.select("patient_id", pl.col(name).cast(pl.String).fill_null(UNKNOWN))
        parts = {}
        for group, values in merged(texts, texts, name, smallest).items():
            here = np.flatnonzero(texts[name].is_in(values).to_numpy())
            kept = ~tested
            kept[tests[here]] = True
            parts[group] = table.filter(pl.Series(kept)), draws.of(here)
        if len(parts) > 1:
            yield Grouping(name, parts)


def shortcut(
    table: pl.DataFrame, finding: str, tube: str, present: pl.Series, draws: PatientDraws
) -> Grouping:
    """Images with a finding and a tube, and those without the tube, each with all that lack both.

    What treats a finding is seen before it: a pneumothorax that is drained already is found by its
    drain (Oakden-Rayner et al. 2020). All images without the finding are in both groups.

    Args:
        table: predictions of classification, with `target:<finding>`.
        finding: label.
        tube: label.
        present: whether each test image has the tube; null where that is not known.
        draws: of the test images.
    """
    tested, column = _tested(table), f"target:{finding}"
    has = np.full(len(table), -1)
    has[tested] = present.cast(pl.Int8).fill_null(-1).to_numpy()
    others = [name for name in table.columns if name.startswith("target:") and name != column]
    alone = table.with_columns(pl.lit(None, table.schema[name]).alias(name) for name in others)
    parts = {}
    for words, wanted in (("with", 1), ("without", 0)):
        other = pl.Series(tested & (has != wanted)) & (pl.col(column) == 1)
        left = pl.when(other).then(None).otherwise(column).alias(column)
        parts[f"{words} {tube}"] = alone.with_columns(left), draws
    return Grouping(f"{finding} by {tube}", parts, finding)


def subgroup_scores(
    grouping: Grouping, score: Scorer, confidence: float, smallest: int = 1
) -> pl.DataFrame:
    """Scores of each group, of the worst, and how far it is behind the best.

    A macro mean is over the labels that have an interval in every group. Ends of `worst` and `gap`
    hold for all groups, or pairs, at once (Bonferroni), since they are of those that were found to
    be extreme.

    Args:
        grouping: of the predictions.
        score: of rows of the table.
        confidence: level of the intervals.
        smallest: positive and negative images from which a count is told: labels of which a group
            has fewer are left out there, and their positives everywhere.

    Returns:
        Rows of `SCHEMA`.
    """
    found = {
        group: {
            (one.metric, one.target): one
            for one in score(*part)
            if grouping.target in (None, one.target)
        }
        for group, part in grouping.parts.items()
    }
    return compared(grouping.by, _with_means(found), confidence, smallest)


def _tested(table: pl.DataFrame) -> Mask:
    if "split" not in table.columns:
        return np.ones(len(table), bool)
    return np.asarray((table["split"] == "test").to_numpy())


def compared(
    by: str, found: Mapping[str, Mapping[tuple[str, str], Score]], confidence: float, smallest: int
) -> pl.DataFrame:
    """Rows of the scores of some groups, and what they come to: see `subgroup_scores`.

    Args:
        by: what tells the groups apart.
        found: scores by group, and by metric and target.
        confidence: level of the intervals.
        smallest: images from which a count is told.
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
    """The scores, with means over those labels that have one in every group."""
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
    smaller = next(iter(sure.values())).metric in SMALLER_IS_BETTER
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
