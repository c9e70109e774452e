"""Findings and tube classification: heads on frozen features."""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.shards.labels import join_labels, targets
from radscale_lib.study.archive import Labels
from radscale_lib.study.heads.base import HeadSection, share_name
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.tasks.features import read_vectors
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.heads.cases import Answer, Cases, Films, require
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.labels import columns
from radscale_lib.tasks.predictions import HEAD, Predicted


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    """Fit a head on the train split, with all labels and with each of its label shares.

    Args:
        study: the study.
        name: the task's name.
        part: the head's name.
        inputs: the run's files.

    Returns:
        Target and log odds of each label for each validation and test image; for a test archive,
        those of its images and of the validation images, from which thresholds are taken.

    Raises:
        NoCasesError: if a split has no labelled image.
        NotFiniteError: if log odds are not finite.
    """
    task = _task(study, name)
    labels: tuple[str, ...] = getattr(study.labels, task.target)
    here = _labelled(study, name, inputs, study.labels)
    split = here.index["split"].to_numpy()
    train = np.flatnonzero(split == "train")
    for each in ("train", "test"):
        require(int((split == each).sum()), name, each)
    elsewhere = {
        archive: films
        for archive, files in inputs.elsewhere.items()
        if name in study.tasks_at(archive)
        and len((films := _labelled(study, name, files, study.labels_in(archive))).index)
    }
    cases = Cases(
        **vars(here),
        study=study,
        task=name,
        labels=labels,
        split=split,
        train=train,
        elsewhere=elsewhere,
    )
    section = task.heads[part]
    head = import_module(section.implementation)
    tables = [predictions_schema(study, name).to_frame()]
    abroad = {archive: [*tables] for archive in elsewhere}
    choices, notes = dict[str, str](), dict[str, str]()
    for row, of_head in _trained_on(part, section, cases):
        answer: Answer = head.predict(section, of_head)
        table = _predictions(row, here, cases.asked, labels, answer.logits)
        tables.append(table)
        thresholds = table.filter(split="validation")
        for archive, films in elsewhere.items():
            logits = answer.elsewhere.get(archive)
            everyone = np.arange(len(films.index))
            abroad[archive] += [thresholds, _predictions(row, films, everyone, labels, logits)]
        if answer.logits is None:
            notes[row] = answer.note
        elif answer.note:
            choices[row] = answer.note
    return Predicted(
        pl.concat(tables),
        choices=choices,
        notes=notes,
        elsewhere={archive: pl.concat(parts) for archive, parts in abroad.items()},
    )


def _labelled(study: Study, name: str, inputs: Inputs, known: Labels) -> Films:
    """The images of an archive with at least one known label of the task.

    Args:
        study: the study.
        name: the task's name.
        inputs: the run's files for the archive.
        known: the labels that its tables have; others are unknown.
    """
    target = _task(study, name).target
    vectors, index = read_vectors(inputs)
    if inputs.labels is not None:
        index = join_labels(index, study.labels, inputs.labels, [target])
    truth = targets(index, columns(study.labels, target), study.labels)
    for column, label in enumerate(getattr(study.labels, target)):
        if label not in getattr(known, target):
            truth[:, column] = np.nan
    kept = ~np.isnan(truth).all(1)
    vectors = {name: values[kept] for name, values in vectors.items()}
    return Films(inputs, index.filter(pl.Series(kept)), vectors, truth[kept])


def _trained_on(part: str, section: HeadSection, cases: Cases) -> Iterator[tuple[str, Cases]]:
    """Name and cases of a head, with all labels and with each of its label shares."""
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
    films: Films,
    rows: NDArray[np.intp],
    labels: Sequence[str],
    logits: NDArray[np.float32] | None,
) -> pl.DataFrame:
    """A row for each of the given images, with their `logits` [n, K]."""
    truth = films.truth[rows]
    table = films.index[rows].select(pl.lit(head).alias(HEAD), "image_id", "patient_id", "split")
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
