"""Scores of a run's predictions: without its encoder, and without torch."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.study.model import Run, Study
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.predictions import HEAD, Predicted
from radscale_lib.tasks.runs import SCORES
from radscale_lib.tasks.scores import MACRO, SCHEMA, Score, score_table


def score_run(study: Study, run: Run, encoder: str, tables: Mapping[str, Path]) -> pl.DataFrame:
    """Write `scores.parquet` beside the predictions of each task.

    A head without predictions has no scores, and is named on standard error with the reason.

    Args:
        study: the study.
        run: of the study, or of elsewhere.
        encoder: name of its encoder.
        tables: `predictions.parquet` of each task, by name.

    Returns:
        The scores of all tasks.
    """
    scored = []
    for name, path in tables.items():
        table = _score(study, run, encoder, name, Predicted.read(path))
        with atomic_write(path.with_name(SCORES)) as partial:
            table.write_parquet(partial)
        scored.append(table)
    return pl.concat([SCHEMA.to_frame(), *scored])


def _score(study: Study, run: Run, encoder: str, name: str, predicted: Predicted) -> pl.DataFrame:
    """The scores of one task."""
    task = import_module(study.evaluation.tasks[name].scoring)
    faults, scores = dict(predicted.faults), list[Score]()
    for (head,), table in predicted.table.partition_by(
        HEAD, as_dict=True, maintain_order=True
    ).items():
        try:
            of_head = task.score(study, name, table, predicted.notes.get(head))
        except NotFiniteError as error:
            faults[head] = str(error)
            continue
        choice = predicted.choices.get(head)
        scores += [replace(score, head=head, choice=choice) for score in of_head]
    for head, fault in faults.items():
        print(f"{run.path} {name} ({head}): {fault}: no scores", file=sys.stderr)
    confidence = study.evaluation.confidence
    table = score_table(scores, run, encoder, name, confidence, predicted.images)
    for row in table.filter(pl.col("target") == MACRO).iter_rows(named=True):
        figures = ", ".join(
            f"{key} {row[key]:.3f}" for key in ("value", "lower", "upper") if row[key] is not None
        )
        what = f"{run.path} {name} ({row['head']}): {row['metric']}"
        print(f"{what} {figures or row['note'] or 'undefined'}", file=sys.stderr)
    return table
