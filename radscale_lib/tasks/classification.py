"""Findings and tube classification: heads on frozen features."""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.shards.labels import join_labels, targets
from radscale_lib.study.heads.base import HeadSection, share_name
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.tasks.features import read_features
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.heads.cases import Answer, Cases, require
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.labels import columns
from radscale_lib.tasks.predictions import HEAD, Predicted


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    """Fit a head on the train split, on all labels and on its shares of them.

    Args:
        study: the study.
        name: the task's name.
        part: the head's name.
        inputs: the run's files.

    Returns:
        Target and log odds of each label of each validation and test image.

    Raises:
        NoCasesError: if a split has no labelled image.
        NotFiniteError: if log odds are not finite.
    """
    task = _task(study, name)
    pooled, index = read_features(inputs, study.evaluation.features)
    if inputs.labels is not None:
        index = join_labels(index, study.labels, inputs.labels, [task.target])
    labels: tuple[str, ...] = getattr(study.labels, task.target)
    truth = targets(index, columns(study.labels, task.target), study.labels)
    known = ~np.isnan(truth).all(1)
    index, pooled, truth = index.filter(pl.Series(known)), pooled[known], truth[known]
    split = index["split"].to_numpy()
    train = np.flatnonzero(split == "train")
    for each in ("train", "test"):
        require(int((split == each).sum()), name, each)
    cases = Cases(study, name, inputs, labels, index, pooled, truth, split, train)

    rows, truth = index[cases.asked], truth[cases.asked]
    section = task.heads[part]
    head = import_module(section.implementation)
    tables = [predictions_schema(study, name).to_frame()]
    said: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for row, of_head in _trained_on(part, section, cases):
        answer: Answer = head.predict(section, of_head)
        tables.append(_predictions(row, rows, labels, truth, answer.logits))
        said[answer.logits is not None][row] = answer.note
    return Predicted(pl.concat(tables), choices=said[True], notes=said[False])


def _trained_on(part: str, section: HeadSection, cases: Cases) -> Iterator[tuple[str, Cases]]:
    """What a head is called, and its cases, with all labels and with each of its shares of them."""
    yield part, cases
    for share in section.shares():
        yield share_name(part, share), cases.share(share)


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table: head; target (1, 0, null if ignored) and log odds."""
    labels = getattr(study.labels, _task(study, name).target)
    columns = {
        f"{part}:{label}": dtype
        for label in labels
        for part, dtype in (("target", pl.Int8()), ("logit", pl.Float32()))
    }
    ids = dict.fromkeys((HEAD, "image_id", "patient_id", "split"), pl.String())
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
    logits: NDArray[np.float32] | None,
) -> pl.DataFrame:
    table = rows.select(pl.lit(head).alias(HEAD), "image_id", "patient_id", "split")
    for column, label in enumerate(labels):
        table = table.with_columns(
            pl.Series(f"target:{label}", truth[:, column]).fill_nan(None).cast(pl.Int8)
        )
        if logits is None:
            said = pl.lit(None, pl.Float32)
        elif np.isfinite(logits[:, column]).all():
            said = pl.lit(pl.Series(logits[:, column]))
        else:
            raise NotFiniteError(f"{head}: logits of {label} are not finite")
        table = table.with_columns(said.alias(f"logit:{label}"))
    return table
