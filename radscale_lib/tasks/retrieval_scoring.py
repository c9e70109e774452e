"""Scores of retrieval: recall among the first k answers."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import RecallMetric
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.confidence import wilson_family
from radscale_lib.tasks.families import Cases
from radscale_lib.tasks.retrieved import DIRECTIONS, RANKS
from radscale_lib.tasks.scores import MACRO, Score, macro


def score(study: Study, name: str, table: pl.DataFrame, note: str | None) -> list[Score]:
    """Recall on the test images.

    Args:
        study: the study.
        name: the task's name.
        table: the predictions.
        note: why there are no ranks, if the encoder has no text tower.
    """
    protocol = study.evaluation
    draws = PatientDraws.draw(table["patient_id"].to_list(), protocol.resamples, protocol.seed)
    if note is None:
        return recall_scores(table, draws)
    nothing = np.full(len(draws), np.nan)
    return [
        Score(target, metric, float("nan"), nothing, len(table), None, note=note)
        for metric in metrics("retrieval")
        for target in (*DIRECTIONS, MACRO)
    ]


def recall_scores(predictions: pl.DataFrame, draws: PatientDraws) -> list[Score]:
    """Recall in both directions, and its mean.

    Args:
        predictions: with `RANKS`, of test images.
        draws: of their patients.
    """
    scores: list[Score] = []
    ranks = predictions.select(RANKS).to_numpy()
    for metric in metrics("retrieval").values():
        assert isinstance(metric, RecallMetric)
        hits = ranks < metric.at
        both = [
            recall_score(direction, metric.name, hit, draws)
            for direction, hit in zip(DIRECTIONS, hits.T, strict=True)
        ]
        scores += [*both, macro(both, len(ranks))]
    return scores


def recall_score(
    direction: str, metric: str, hits: NDArray[np.bool_], draws: PatientDraws
) -> Score:
    """The share of queries that found their pair; queries of a patient may be alike.

    Args:
        direction: target of the score.
        metric: its name.
        hits: [N], of the test images.
        draws: of their patients.
    """
    sums = draws.sums(np.stack([hits, np.ones_like(hits)], axis=1))
    value = float(hits.mean())
    alone = float(len(np.unique(draws.patient)))  # patients whose images all agree
    if 0 < value < 1:
        cases = Cases(hits, np.zeros(len(hits)), draws.patient)
        alone = len(hits) / cases.design_effect(hits.astype(np.float64) - value)
    family = wilson_family(value, alone)
    return Score(direction, metric, value, sums[:, 0] / sums[:, 1], len(hits), None, (family,))
