"""Scores of retrieval: recall among the first k answers."""

import numpy as np
import polars as pl

from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import RecallMetric
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.retrieved import DIRECTIONS, RANKS
from radscale_lib.tasks.scores import MACRO, Score, macro, sampled_score


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
    cases, patients = len(ranks), draws.counts.shape[1]
    drawn = draws.sums(np.ones((cases, 1)))
    for metric in metrics("retrieval").values():
        assert isinstance(metric, RecallMetric)
        hits = ranks < metric.at
        resamples = draws.sums(hits) / drawn
        both = [
            sampled_score(
                direction, metric.name, float(hit.mean()), resample, cases, None, patients
            )
            for direction, hit, resample in zip(DIRECTIONS, hits.T, resamples.T, strict=True)
        ]
        scores += [*both, macro(both, cases)]
    return scores
