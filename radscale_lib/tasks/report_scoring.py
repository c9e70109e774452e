"""Scores of generated reports against their references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.languages.phrases import has_phrases
from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import TextMetric
from radscale_lib.study.archive import Labels
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.generation import Generation
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.lexical import MentionReader, claim_counts
from radscale_lib.tasks.scores import MACRO, MICRO, Score, macro, sampled_score


def score(study: Study, name: str, table: pl.DataFrame, note: str | None) -> list[Score]:
    """Scores of the reports of the test images.

    Args:
        study: the study.
        name: the task's name.
        table: the generator's predictions.
        note: of no generator: every encoder has its levels.
    """
    task = study.evaluation.tasks[name]
    assert isinstance(task, Generation)
    draws = PatientDraws.draw(
        table["patient_id"].to_list(), study.evaluation.resamples, study.evaluation.seed
    )
    reports = Reports(
        table["generated"].to_list(),
        table["reference"].to_list(),
        study.labels,
        task.phrases,
        study.institution.language,
    )
    return score_reports(reports, draws)


@dataclass(frozen=True)
class Reports:
    """Generated reports with their references; see `metrics.base.ReportPairs`."""

    generated: list[str]
    references: list[str]
    labels: Labels
    phrases: Mapping[str, Sequence[str]]
    language: str = "en"

    @property
    def names(self) -> list[str]:
        """The labels that claims are about; none in a language without phrases."""
        known = has_phrases(self.language)
        return [*self.labels.findings, *self.labels.tubes] if known else []

    @cached_property
    def claims(self) -> NDArray[np.int64]:
        """What both say of each label, by the lexical reader: [N, K, 3]."""
        reader = MentionReader(self.names, self.phrases, self.language)
        states = reader.read(self.generated), reader.read(self.references)
        return claim_counts(*states, self.labels.uncertain)


def score_reports(reports: Reports, draws: PatientDraws) -> list[Score]:
    """The metrics of reports with their resamples."""
    scores: list[Score] = []
    cases, patients = len(reports.references), draws.counts.shape[1]
    for metric in metrics("generation").values():
        assert isinstance(metric, TextMetric)
        if not metric.by_label:
            counts = metric.statistics(reports)
            sums = np.array([[column.sum() for column in counts.T]], np.float64)
            value, resamples = float(metric.of(sums)[0]), metric.of(draws.sums(counts))
            scores.append(
                sampled_score(MACRO, metric.name, value, resamples, cases, None, patients)
            )
        elif reports.names:
            counts = metric.statistics(reports)
            by_label = [
                _label_score(metric, label, counts[:, index], draws)
                for index, label in enumerate(reports.names)
            ]
            micro = _label_score(metric, MICRO, counts.sum(axis=1), draws)
            scores += [*by_label, micro, macro(by_label, cases)]
    return scores


def _label_score(
    metric: TextMetric, label: str, counts: NDArray[np.generic], draws: PatientDraws
) -> Score:
    """A metric of one label, or of all, from the statistics [N, C]."""
    positives = metric.positives(counts) if metric.positives else None
    patients = draws.counts.shape[1]
    return sampled_score(
        label,
        metric.name,
        float(metric.of(counts.sum(0))),
        metric.of(draws.sums(counts)),
        len(counts),
        positives,
        patients if positives is None else min(positives, patients),
    )
