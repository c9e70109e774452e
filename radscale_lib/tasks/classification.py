"""Findings and tube classification: a linear probe on pooled features."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.shards.labels import targets
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.features import read_features
from radscale_lib.tasks.images import NoCasesError
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.labels import columns
from radscale_lib.tasks.probe import Probe, Standardiser, choose, fit_path
from radscale_lib.tasks.scores import Score


def evaluate(study: Study, name: str, inputs: Inputs) -> tuple[list[Score], pl.DataFrame]:
    """Fit the probe on the train split, choose its penalty on validation, score it on test.

    Args:
        study: the study.
        name: the task's name.
        inputs: the run's files; only the features are read.

    Returns:
        Scores, and target and log odds of each label of each validation and test image.

    Raises:
        NoCasesError: if a split has no labelled image.
    """
    task = _task(study, name)
    values, index = read_features(inputs.features, study.evaluation.features, inputs.encoder)
    names = columns(study.labels, task.target)
    truth = targets(index, names, study.labels)
    split = index["split"].to_numpy()
    probe, standardise = _fit(name, task, values, truth, split)

    known = ~np.isnan(truth).all(1)
    _require(int((known & (split == "test")).sum()), name, "test")
    chosen = np.flatnonzero(known & np.isin(split, ("validation", "test")))
    rows, truth, split = index[chosen], truth[chosen], split[chosen]
    logits = probe.logits(standardise(values[chosen])).astype(np.float32)
    test, validation = split == "test", split == "validation"
    draws = PatientDraws.draw(
        rows["patient_id"].to_numpy()[test].tolist(),
        study.evaluation.resamples,
        study.evaluation.seed,
    )
    labels: tuple[str, ...] = getattr(study.labels, task.target)
    thresholds = (truth[validation], logits[validation]) if validation.any() else None
    scores = label_scores(labels, truth[test], logits[test], draws, thresholds)
    return scores, _predictions(rows, labels, truth, logits)


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table: target (1, 0, null if ignored) and log odds per label."""
    labels = getattr(study.labels, _task(study, name).target)
    columns = {
        f"{part}:{label}": dtype
        for label in labels
        for part, dtype in (("target", pl.Int8()), ("logit", pl.Float32()))
    }
    ids = dict.fromkeys(("image_id", "patient_id", "split"), pl.String())
    return pl.Schema({**ids, **columns})


def _task(study: Study, name: str) -> Classification:
    task = study.evaluation.tasks[name]
    assert isinstance(task, Classification)
    return task


def _fit(
    name: str,
    task: Classification,
    values: NDArray[np.float32],
    truth: NDArray[np.float32],
    split: NDArray[np.object_],
) -> tuple[Probe, Standardiser]:
    known = ~np.isnan(truth).all(1)
    train, validation = (known & (split == part) for part in ("train", "validation"))
    _require(int(train.sum()), name, "train")
    standardise = Standardiser.fit(values[train])
    probes = fit_path(standardise(values[train]), truth[train], task.penalties)
    if len(probes) == 1:
        return probes[0], standardise
    _require(int(validation.sum()), name, "validation")
    return choose(probes, standardise(values[validation]), truth[validation]), standardise


def _require(images: int, name: str, split: str) -> None:
    if not images:
        raise NoCasesError(
            f"task {name}: no image of the {split} split has labels: provide them, raise "
            f"splits.{split}, or remove the task"
        )


def _predictions(
    rows: pl.DataFrame,
    labels: Sequence[str],
    truth: NDArray[np.float32],
    logits: NDArray[np.float32],
) -> pl.DataFrame:
    table = rows.select("image_id", "patient_id", "split")
    for column, label in enumerate(labels):
        table = table.with_columns(
            pl.Series(f"target:{label}", truth[:, column]).fill_nan(None).cast(pl.Int8),
            pl.Series(f"logit:{label}", logits[:, column]),
        )
    return table
