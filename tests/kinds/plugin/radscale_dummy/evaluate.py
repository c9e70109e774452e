"""The task's evaluation."""

import numpy as np
import polars as pl

from radscale_lib.metrics import metrics
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.features import read_features
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.scores import MACRO, Score


def evaluate(study: Study, name: str, inputs: Inputs) -> tuple[list[Score], pl.DataFrame]:
    values, index = read_features(inputs.features, study.evaluation.features, inputs.encoder)
    chosen = (index["split"] == "test").to_numpy()
    test = index.filter(chosen)
    draws = PatientDraws.draw(
        test["patient_id"].to_list(), study.evaluation.resamples, study.evaluation.seed
    )
    first, last = values[chosen][:, 0], values[chosen][:, -1]
    statistics = np.stack([np.ones_like(first), first, last, first**2, last**2, first * last], 1)
    scores = [
        Score(
            MACRO,
            metric.name,
            float(metric.of(statistics.sum(0, keepdims=True))[0]),
            metric.of(draws.sums(statistics)),
            len(test),
            None,
        )
        for metric in metrics("brightness").values()
    ]
    return scores, test.select("image_id", "patient_id")


def predictions_schema(study: Study, name: str) -> pl.Schema:
    return pl.Schema({"image_id": pl.String(), "patient_id": pl.String()})
