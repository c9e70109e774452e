"""The task's predictions."""

import polars as pl

from radscale_lib.study.model import Study
from radscale_lib.tasks.features import read_features
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.predictions import HEAD, Predicted


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    values, index = read_features(inputs, study.evaluation.features)
    table = index.select(
        pl.lit(part).alias(HEAD),
        "image_id",
        "patient_id",
        pl.Series("first", values[:, 0]),
        pl.Series("last", values[:, -1]),
    )
    return Predicted(table.filter(index["split"] == "test"))


def predictions_schema(study: Study, name: str) -> pl.Schema:
    ids = dict.fromkeys((HEAD, "image_id", "patient_id"), pl.String())
    return pl.Schema({**ids, "first": pl.Float32(), "last": pl.Float32()})
