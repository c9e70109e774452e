"""Findings and tube classification: heads on frozen features."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.metrics import metrics
from radscale_lib.shards.labels import targets
from radscale_lib.study.heads.base import share_name
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.features import read_features
from radscale_lib.tasks.heads.cases import Answer, Cases, require
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.labels import columns
from radscale_lib.tasks.scores import Score, unscored


def evaluate(study: Study, name: str, inputs: Inputs) -> tuple[list[Score], pl.DataFrame]:
    """Fit each head on the train split, let it choose on validation, score it on test.

    Args:
        study: the study.
        name: the task's name.
        inputs: the run's files.

    Returns:
        Scores, and target and log odds of each label of each validation and test image, by head.

    Raises:
        NoCasesError: if a split has no labelled image.
    """
    task = _task(study, name)
    pooled, index = read_features(inputs.features, study.evaluation.features, inputs.encoder)
    labels: tuple[str, ...] = getattr(study.labels, task.target)
    truth = targets(index, columns(study.labels, task.target), study.labels)
    known = ~np.isnan(truth).all(1)
    index, pooled, truth = index.filter(pl.Series(known)), pooled[known], truth[known]
    split = index["split"].to_numpy()
    train = np.flatnonzero(split == "train")
    for part in ("train", "test"):
        require(int((split == part).sum()), name, part)
    cases = Cases(study, name, inputs, labels, index, pooled, truth, split, train)

    rows, truth, split = index[cases.asked], truth[cases.asked], split[cases.asked]
    test, validation = split == "test", split == "validation"
    draws = PatientDraws.draw(
        rows["patient_id"].to_numpy()[test].tolist(),
        study.evaluation.resamples,
        study.evaluation.seed,
    )
    scores: list[Score] = []
    predictions = [predictions_schema(study, name).to_frame()]
    for head, answer in _answers(task, cases):
        if answer.logits is None:
            of_head = unscored(labels, list(metrics(task.kind)), truth[test], draws, answer.note)
        else:
            logits = answer.logits
            thresholds = (truth[validation], logits[validation]) if validation.any() else None
            of_head = label_scores(labels, truth[test], logits[test], draws, thresholds)
            predictions.append(_predictions(head, rows, labels, truth, logits))
        choice = None if answer.logits is None else answer.note
        scores += [replace(score, head=head, choice=choice) for score in of_head]
    return scores, pl.concat(predictions)


def _answers(task: Classification, cases: Cases) -> Iterator[tuple[str, Answer]]:
    """What each head says, trained on all labels and on each of its shares of them."""
    for name, section in task.heads.items():
        head = import_module(section.implementation)
        yield name, head.predict(section, cases)
        for share in section.shares():
            yield share_name(name, share), head.predict(section, cases.share(share))


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table: head; target (1, 0, null if ignored) and log odds."""
    labels = getattr(study.labels, _task(study, name).target)
    columns = {
        f"{part}:{label}": dtype
        for label in labels
        for part, dtype in (("target", pl.Int8()), ("logit", pl.Float32()))
    }
    ids = dict.fromkeys(("head", "image_id", "patient_id", "split"), pl.String())
    return pl.Schema({**ids, **columns})


def _task(study: Study, name: str) -> Classification:
    task = study.evaluation.tasks[name]
    assert isinstance(task, Classification)
    return task


def _predictions(
    head: str,
    rows: pl.DataFrame,
    labels: Sequence[str],
    truth: NDArray[np.float32],
    logits: NDArray[np.float32],
) -> pl.DataFrame:
    table = rows.select(pl.lit(head).alias("head"), "image_id", "patient_id", "split")
    for column, label in enumerate(labels):
        table = table.with_columns(
            pl.Series(f"target:{label}", truth[:, column]).fill_nan(None).cast(pl.Int8),
            pl.Series(f"logit:{label}", logits[:, column]),
        )
    return table
