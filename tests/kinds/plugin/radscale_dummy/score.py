"""The task's scores, from its predictions alone."""

import numpy as np
import polars as pl

from radscale_lib.metrics import metrics
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.scores import MACRO, Score


def score(study: Study, name: str, table: pl.DataFrame, note: str | None) -> list[Score]:
    draws = PatientDraws.draw(
        table["patient_id"].to_list(), study.evaluation.resamples, study.evaluation.seed
    )
    first, last = table["first"].to_numpy(), table["last"].to_numpy()
    statistics = np.stack([np.ones_like(first), first, last, first**2, last**2, first * last], 1)
    return [
        Score(
            MACRO,
            metric.name,
            float(metric.of(statistics.sum(0, keepdims=True))[0]),
            metric.of(draws.sums(statistics)),
            len(table),
            None,
        )
        for metric in metrics("brightness").values()
    ]
