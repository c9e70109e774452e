"""The table of scores: its columns, its rows, and macro means."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.metrics import metrics
from radscale_lib.study.model import Run
from radscale_lib.study.tasks import TASKS
from radscale_lib.tasks.bootstrap import (
    Floats,
    PatientDraws,
    at_prevalence,
    covariance,
    interval,
)
from radscale_lib.tasks.confidence import (
    Confidence,
    Family,
    correlation_of,
    sampled_family,
    share_family,
)
from radscale_lib.tasks.predictions import NO_PREDICTIONS

SCHEMA = pl.Schema(
    {
        "arm": pl.String(),
        "encoder": pl.String(),
        "size": pl.Int64(),
        "images": pl.Int64(),
        "seed": pl.Int64(),
        "task": pl.String(),
        "head": pl.String(),
        "target": pl.String(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "confidence": pl.Float64(),
        "cases": pl.Int64(),
        "positives": pl.Int64(),
        "resamples_used": pl.Int64(),
        "resamples": pl.List(pl.Float32),
        "note": pl.String(),
        "choice": pl.String(),
    }
)
ORDER = ["arm", "size", "seed", "task", "head", "target", "metric"]
MACRO = "macro"
"""Target of the mean over labels."""
MICRO = "micro"
"""Target of the cells of all labels together."""
ERRORS = frozenset({"brier", "ece"})
"""Metrics of probabilities, for which smaller is better."""
FEWEST = 5
"""Minimum number of positives, and of negatives, for a label's score to have an interval; for BLEU,
of patients with a report that shares four words in a row with its reference."""
TOO_FEW = "too few"
SAME = 1e-12
"""Variance up to which draws count as all equal."""


def smaller_is_better(metric: str) -> bool:
    """Whether a metric is an error, by its name."""
    kinds = (metrics(kind) for kind in TASKS)
    return metric in ERRORS or any(found[metric].is_error for found in kinds if metric in found)


@dataclass(frozen=True)
class Score:
    """A metric of one target with its bootstrap resamples.

    `value` and the entries of `resamples` [B] are NaN if the metric is undefined, as AUROC is
    without positives.

    Attributes:
        families: possible true values of the score, or of each score of which it is the mean.
            Without them the interval is that of the resamples' percentiles.
        correlation: correlation of those scores; None for a single one.
        ordered: the resamples without effects such as that of a draw's prevalence, by which scores
            are paired. None: the resamples.
        note: why there is no interval, or no value.
        head: what was trained on the frozen features; None: the task's first head.
        choice: what the head chose on validation.
        most: its largest possible value; families are in shares of it.
    """

    target: str
    metric: str
    value: float
    resamples: Floats
    cases: int
    positives: int | None
    families: tuple[Family, ...] = ()
    correlation: Floats | None = None
    ordered: Floats | None = None
    note: str | None = None
    head: str | None = None
    choice: str | None = None
    most: float = 1.0

    @property
    def order(self) -> Floats:
        """Draws [B] by which scores are paired."""
        return self.resamples if self.ordered is None else self.ordered

    @cached_property
    def confidence(self) -> Confidence | None:
        """The confidence in each true value; None if only resamples are used."""
        if not self.families or self.note or np.isnan(self.value):
            return None
        correlation = np.eye(1) if self.correlation is None else self.correlation
        return Confidence.from_families(self.families, correlation, self.value / self.most)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Lower and upper end at a level; NaN if the score has a note, or no resamples."""
        if self.note or np.isnan(self.value):
            return float("nan"), float("nan")
        if self.confidence is None:
            return interval(self.resamples, confidence)
        lower, upper = self.confidence.interval(confidence)
        return min(lower * self.most, self.value), max(upper * self.most, self.value)

    @cached_property
    def draws(self) -> Floats:
        """Draws [B] of possible true values, paired with those of other runs."""
        found = self.confidence
        return self.most * found.draws(self.order) if found else self.resamples


def sampled_score(
    target: str,
    metric: str,
    value: float,
    resamples: Floats,
    cases: int,
    positives: int | None,
    patients: int,
    drawn: Floats | None = None,
    most: float = 1.0,
    few: bool = False,
) -> Score:
    """A score whose variance comes from its bootstrap draws alone.

    Args:
        target: label, or `macro`.
        metric: its name.
        value: the score.
        resamples: [B].
        cases: test images.
        positives: number of images with the label; None without labels. Fewer than `FEWEST` are too
            few.
        patients: number of patients behind the score.
        drawn: [B], positive images of each draw; None without labels.
        most: the largest possible value of the score; the smallest is 0.
        few: whether there are too few patients, whatever the number of positives.
    """
    few = few or (positives is not None and positives < FEWEST)
    ordered = (
        resamples
        if drawn is None
        else at_prevalence(resamples, drawn, cases - np.minimum(drawn, cases))
    )
    families: tuple[Family, ...] = ()
    if not few and 0 <= value <= most and not np.isnan(resamples).all():
        rested_on = np.ones(len(ordered)) if drawn is None else drawn
        variance = float(covariance(ordered[:, None], rested_on)[0, 0])
        families = (_family(metric, value / most, variance / most**2, patients, positives),)
    note = TOO_FEW if few else None
    return Score(
        *(target, metric, value, resamples, cases, positives, families),
        ordered=ordered,
        note=note,
        most=most,
    )


def _family(
    metric: str, value: float, variance: float, patients: int, positives: int | None
) -> Family:
    """The family of a score in [0, 1]; draws that are all equal do not show its spread.

    Cases that all agree are compatible with a share slightly below 1 or above 0: a binomial share,
    which has the largest variance of all means of scores in [0, 1].
    """
    if variance < SAME and not smaller_is_better(metric):
        return share_family(value, min(patients, positives or patients), variance)
    return sampled_family(value, variance, patients)


def macro(scores: Sequence[Score], cases: int) -> Score:
    """Unweighted mean of one metric over its targets.

    Targets whose value is undefined on the test images, or based on too few of them, are left out.
    This depends only on the truth, so the mean is over the same targets for every encoder. A
    resample in which any of the other targets is undefined is dropped (NaN).

    Args:
        scores: one per target, of one metric.
        cases: test images of the task.
    """
    kept = [score for score in scores if not score.note and not np.isnan(score.value)]
    if not kept:
        nothing = np.full(len(scores[0].resamples), np.nan)
        note = next((score.note for score in scores if score.note), None)
        return Score(MACRO, scores[0].metric, float("nan"), nothing, cases, None, note=note)
    resamples = np.array([score.resamples for score in kept])
    order = np.array([score.order for score in kept])
    families = [family for score in kept for family in score.families]
    positives = [score.positives for score in kept if score.positives is not None]
    return Score(
        MACRO,
        scores[0].metric,
        float(np.mean([score.value for score in kept])),
        resamples.mean(axis=0),
        cases,
        sum(positives) if positives else None,
        tuple(families) if len(families) == len(kept) else (),
        correlation_of(order),
        order.mean(axis=0),
        most=kept[0].most,
    )


def unscored(
    labels: Sequence[str],
    metrics: Sequence[str],
    truth: NDArray[np.floating],
    draws: PatientDraws,
    note: str,
) -> list[Score]:
    """Scores without a value, for an encoder that cannot have a head.

    Args:
        labels: K names.
        metrics: names.
        truth: [N, K], 1, 0 or NaN (unknown), of the test images.
        draws: of their patients.
        note: why there is no value.
    """
    nothing = np.full(len(draws), np.nan)
    known, positive = (~np.isnan(truth)).sum(axis=0), (truth == 1).sum(axis=0)
    rows = [*zip(labels, known.tolist(), positive.tolist(), strict=True)]
    rows.append((MACRO, len(truth), int(positive.sum())))
    return [
        Score(label, metric, float("nan"), nothing, cases, positives, note=note)
        for metric in metrics
        for label, cases, positives in rows
    ]


def failed(metrics: Sequence[str], resamples: int, fault: str) -> list[Score]:
    """Scores without a value, for a head that failed: only the mean over labels.

    Args:
        metrics: names.
        resamples: number of draws.
        fault: why it has no predictions.
    """
    nothing = np.full(resamples, np.nan)
    note = NO_PREDICTIONS + fault
    return [Score(MACRO, metric, float("nan"), nothing, 0, None, note=note) for metric in metrics]


def score_table(
    scores: Sequence[Score],
    run: Run,
    encoder: str,
    task: str,
    confidence: float,
    images: int | None = None,
    head: str | None = None,
) -> pl.DataFrame:
    """Rows of the scores table, sorted.

    Args:
        scores: of one task and run.
        run: the run.
        encoder: its encoder's name.
        task: the task's name.
        confidence: of the intervals.
        images: number of unique images from which the run learnt, if its card says so.
        head: head of scores that name none.
    """
    rows = []
    for score in scores:
        lower, upper = score.interval(confidence)
        rows.append(
            {
                "arm": run.arm,
                "encoder": encoder,
                "size": run.size,
                "images": images,
                "seed": run.seed,
                "task": task,
                "head": score.head or head,
                "target": score.target,
                "metric": score.metric,
                "value": score.value,
                "lower": lower,
                "upper": upper,
                "confidence": confidence,
                "cases": score.cases,
                "positives": score.positives,
                "resamples_used": int(np.isfinite(score.resamples).sum()),
                "resamples": score.draws.tolist(),
                "note": score.note,
                "choice": score.choice,
            }
        )
    table = pl.DataFrame(rows, schema=SCHEMA)
    return table.with_columns(pl.col("value", "lower", "upper").fill_nan(None)).sort(ORDER)
