"""Scores of findings and tube classification, from the log odds of a head."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.metrics import metrics
from radscale_lib.study.model import Study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.reliability import SCHEMA as RELIABILITY
from radscale_lib.tasks.reliability import reliability
from radscale_lib.tasks.scorable import Scorable
from radscale_lib.tasks.scores import Score, unscored


def prepare(study: Study, name: str, table: pl.DataFrame, note: str | None) -> Scorable:
    """Prepare a head's test images for scoring at thresholds from the validation images.

    Args:
        study: the study.
        name: the task's name.
        table: the head's predictions.
        note: why there are none, if the encoder cannot have this head.
    """
    task = study.evaluation.tasks[name]
    labels = task.targets(study.labels)
    test, validation = (table.filter(split=split) for split in ("test", "validation"))
    truth = _columns(test, "target", labels)
    logits = _columns(test, "logit", labels)
    thresholds = None
    if len(validation):
        thresholds = (_columns(validation, "target", labels), _columns(validation, "logit", labels))

    def score(images: NDArray[np.intp], draws: PatientDraws) -> list[Score]:
        if note is not None:
            return unscored(labels, list(metrics(task.kind)), truth[images], draws, note)
        return label_scores(labels, truth[images], logits[images], draws, thresholds)

    return Scorable(test.select("image_id", "patient_id"), score)


def tables(
    study: Study, name: str, table: pl.DataFrame, note: str | None
) -> dict[str, pl.DataFrame]:
    """`reliability`: bins of predicted probability, by label, of the test images."""
    if note is not None:
        return {"reliability": RELIABILITY.to_frame()}
    labels = study.evaluation.tasks[name].targets(study.labels)
    test = table.filter(split="test")
    _, patients = np.unique(test["patient_id"].to_numpy().astype(str), return_inverse=True)
    truth, logits = (_columns(test, part, labels) for part in ("target", "logit"))
    smallest = study.smallest_cell("institution")
    return {"reliability": reliability(labels, truth, logits, patients, smallest)}


def _columns(table: pl.DataFrame, part: str, labels: tuple[str, ...]) -> NDArray[np.float32]:
    """Targets or log odds [N, K]; NaN where unknown."""
    columns = [table[f"{part}:{label}"].cast(pl.Float32).fill_null(np.nan) for label in labels]
    return np.stack([column.to_numpy() for column in columns], axis=1)
