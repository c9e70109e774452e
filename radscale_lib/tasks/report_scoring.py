"""Scores of generated reports against their references."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.labels.rules import RuleReader
from radscale_lib.languages.phrases import has_phrases
from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import TextMetric
from radscale_lib.metrics.rouge_l import rouge_l
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.study.archive import Labels
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.generation import Generation
from radscale_lib.tasks.bootstrap import PatientDraws, at_prevalence
from radscale_lib.tasks.families import Cases
from radscale_lib.tasks.lexical import claim_counts, states
from radscale_lib.tasks.scorable import Scorable
from radscale_lib.tasks.scores import FEWEST, MACRO, MICRO, TOO_FEW, Score, macro, sampled_score

EXAMPLES = 48
"""Number of test images whose reports are kept, the first by keyed hash."""


def prepare(study: Study, name: str, table: pl.DataFrame, note: str | None) -> Scorable:
    """Prepare a generator's test reports for scoring.

    Args:
        study: the study.
        name: the task's name.
        table: the generator's predictions.
        note: always None: every encoder can have a generator.
    """
    task = study.evaluation.tasks[name]
    assert isinstance(task, Generation)
    reports = Reports(
        table["generated"].to_list(),
        table["reference"].to_list(),
        study.labels,
        task.phrases,
        study.institution.language,
        task.metric_weights,
    )
    return Scorable(table.select("image_id", "patient_id"), scorer(reports))


def tables(
    study: Study, name: str, table: pl.DataFrame, note: str | None
) -> dict[str, pl.DataFrame]:
    """`examples`: generated reports of a fixed set of test images, for the report."""
    images = sorted(table["image_id"], key=lambda image: (unit_interval(image, "examples"), image))
    table = table.filter(pl.col("image_id").is_in(images[:EXAMPLES])).sort("image_id")
    pairs = zip(table["generated"], table["reference"], strict=True)
    rouge = pl.Series("rouge_l", [rouge_l(*pair) for pair in pairs], pl.Float64)
    return {"examples": table.select("image_id", "reference", "generated", rouge)}


@dataclass(frozen=True)
class Reports:
    """Generated reports with their references; see `metrics.base.ReportPairs`."""

    generated: list[str]
    references: list[str]
    labels: Labels
    phrases: Mapping[str, Sequence[str]]
    language: str = "en"
    weights: Mapping[str, Path] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The labels of the claims; empty for a language without phrases."""
        known = has_phrases(self.language)
        return [*self.labels.findings, *self.labels.tubes] if known else []

    @cached_property
    def claims(self) -> NDArray[np.int64]:
        """What both say about each label, by the rules that read labels: [N, K, 3]."""
        reader = RuleReader(self.names, self.phrases, self.language)
        read = states(reader, self.generated), states(reader, self.references)
        return claim_counts(*read, self.labels.uncertain)


def score_reports(reports: Reports, draws: PatientDraws) -> list[Score]:
    """The metrics of reports with their resamples; those that need weights only if given."""
    return scorer(reports)(np.arange(len(reports.references)), draws)


def scorer(reports: Reports) -> Callable[[NDArray[np.intp], PatientDraws], list[Score]]:
    """Score subsets of the reports, by position; statistics of each report are computed once."""
    counted: list[tuple[TextMetric, Sequence[str], NDArray[Any]]] = []
    for metric in metrics("generation").values():
        assert isinstance(metric, TextMetric)
        names = reports.names if metric.labels is None else metric.labels
        if metric.weights in (None, *reports.weights) and (names or not metric.by_label):
            counted.append((metric, names, metric.statistics(reports)))

    def score(images: NDArray[np.intp], draws: PatientDraws) -> list[Score]:
        scores: list[Score] = []
        for metric, names, of_all in counted:
            counts = of_all[images]
            if not metric.by_label:
                scores.append(report_score(metric, MACRO, counts, draws))
                continue
            by_label = [
                claims_score(metric, label, counts[:, [index]], draws)
                for index, label in enumerate(names)
            ]
            micro = claims_score(metric, MICRO, counts, draws)
            scores += [*by_label, micro, macro(by_label, len(images))]
        return scores

    return score


def report_score(
    metric: TextMetric, target: str, counts: NDArray[Any], draws: PatientDraws
) -> Score:
    """A metric of whole reports with its resamples.

    Args:
        metric: the metric.
        target: what the score is of.
        counts: [N, C], its statistics of each report.
        draws: of the reports' patients.
    """
    few = False
    if metric.rests_on:
        few = len(np.unique(draws.patient[metric.rests_on(counts)])) < FEWEST
    return sampled_score(
        target,
        metric.name,
        _value(metric, counts),
        metric.of(draws.sums(counts)),
        len(counts),
        None,
        draws.counts.shape[1],
        few=few,
    )


def claims_score(
    metric: TextMetric, target: str, counts: NDArray[Any], draws: PatientDraws
) -> Score:
    """F1 of claims, which has the interval of F1 of labels at a fixed threshold.

    Args:
        metric: the metric.
        target: label, or `micro`.
        counts: [N, K, 3], its statistics of each report and label.
        draws: of the reports' patients.

    Raises:
        ValueError: if the metric has other statistics.
    """
    if counts.shape[-1] != 3:
        raise ValueError(
            f"metric {metric.name!r}: {counts.shape[-1]} statistics of each label: metrics "
            "`by_label` have true positives, false positives and false negatives"
        )
    true, false, missed = np.moveaxis(counts > 0, -1, 0)
    positive = true | missed
    drawn = draws.sums(np.stack([positive.sum(axis=1), (~positive).sum(axis=1)], axis=1))
    resamples = metric.of(draws.sums(counts.sum(axis=1)))
    patient = np.repeat(draws.patient, positive.shape[1])
    cases = Cases(positive.ravel(), np.zeros(positive.size), patient)
    few = cases.positives < FEWEST
    return Score(
        target,
        metric.name,
        _value(metric, counts.sum(axis=1)),
        resamples,
        len(counts),
        cases.positives,
        () if few else (cases.threshold_family((true | false).ravel(), alone=False),),
        ordered=at_prevalence(resamples, *drawn.T),
        note=TOO_FEW if few else None,
    )


def _value(metric: TextMetric, counts: NDArray[Any]) -> float:
    sums = np.array([[column.sum() for column in counts.T]], np.float64)
    return float(metric.of(sums)[0])
