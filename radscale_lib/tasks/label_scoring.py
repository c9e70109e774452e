"""Scores of findings and tube classification, from the log odds of a head."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.metrics import metrics
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.scores import Score, unscored


def score(study: Study, name: str, table: pl.DataFrame, note: str | None) -> list[Score]:
    """Scores of a head on the test images; thresholds are those of the validation images.

    Args:
        study: the study.
        name: the task's name.
        table: the head's predictions.
        note: why there are none, if the encoder cannot have the head.
    """
    task = study.evaluation.tasks[name]
    labels = task.targets(study.labels)
    test, validation = (table.filter(split=split) for split in ("test", "validation"))
    draws = PatientDraws.draw(
        test["patient_id"].to_list(), study.evaluation.resamples, study.evaluation.seed
    )
    if note is not None:
        known = _columns(test, "target", labels)
        return unscored(labels, list(metrics(task.kind)), known, draws, note)
    truth, logits = (_columns(test, part, labels) for part in ("target", "logit"))
    thresholds = None
    if len(validation):
        thresholds = (_columns(validation, "target", labels), _columns(validation, "logit", labels))
    return label_scores(labels, truth, logits, draws, thresholds)


def _columns(table: pl.DataFrame, part: str, labels: tuple[str, ...]) -> NDArray[np.float32]:
    """Targets or log odds [N, K]; NaN where unknown."""
    columns = [table[f"{part}:{label}"].cast(pl.Float32).fill_null(np.nan) for label in labels]
    return np.stack([column.to_numpy() for column in columns], axis=1)
