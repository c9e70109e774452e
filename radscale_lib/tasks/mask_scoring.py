"""Scores of masks, from the pixel counts of each image: Dice and clDice."""

import numpy as np
import polars as pl

from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import OverlapMetric
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.overlap import COUNTS
from radscale_lib.tasks.scores import Score, macro, sampled_score


def score(study: Study, name: str, table: pl.DataFrame, note: str | None) -> list[Score]:
    """Scores of a decoder on the test images.

    Metrics pool the pixels of all test images per tube; macro is the mean over tubes.

    Args:
        study: the study.
        name: the task's name.
        table: the decoder's predictions.
        note: of no decoder: every encoder has its levels.
    """
    tubes = study.labels.tubes
    columns = [f"{count}:{tube}" for tube in tubes for count in COUNTS]
    counts = table.select(columns).to_numpy().reshape(len(table), len(tubes), len(COUNTS))
    draws = PatientDraws.draw(
        table["patient_id"].to_list(), study.evaluation.resamples, study.evaluation.seed
    )
    shown = counts[:, :, COUNTS.index("true")] > 0
    drawn = draws.sums(shown)
    scores = []
    for metric in metrics(study.evaluation.tasks[name].kind).values():
        assert isinstance(metric, OverlapMetric)
        by_class = [
            sampled_score(
                tube,
                metric.name,
                float(metric.of(counts[:, index].sum(0))),
                metric.of(draws.sums(counts[:, index])),
                len(table),
                int(shown[:, index].sum()),
                len(np.unique(draws.patient[shown[:, index]])),
                drawn[:, index],
            )
            for index, tube in enumerate(tubes)
        ]
        scores += [*by_class, macro(by_class, len(table))]
    return scores
