"""One task of one run: dispatch to the kind of task, and the tables it leaves."""

import os
import sys
from importlib import import_module
from pathlib import Path

import polars as pl
from threadpoolctl import threadpool_limits

from radscale_lib.files import atomic_write, read_json
from radscale_lib.provenance.step import InputError
from radscale_lib.study.model import Run, Study
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.scores import MACRO, Score, score_table


def has_encoder(inputs: Inputs) -> bool:
    """Whether a run has an encoder: its file is not empty and its card does not say `failed`."""
    failed = inputs.card.exists() and read_json(inputs.card).get("status") == "failed"
    return not failed and inputs.encoder.stat().st_size > 0


def _images(inputs: Inputs) -> int | None:
    """Unique images that an encoder learnt from; null if its card does not say."""
    images = read_json(inputs.card).get("images") if inputs.card.exists() else None
    return None if images is None else int(images)


class UnknownRunError(InputError):
    """A run or task that the study does not have."""


def check_run(study: Study, run: Run, task: str | None = None) -> None:
    """Check that the study has a run, and a task.

    Raises:
        UnknownRunError: naming what there is.
    """
    if run not in study.runs:
        known = ", ".join(sorted(each.path for each in study.runs))
        raise UnknownRunError(f"{run.path}: no run of study {study.name}: use one of {known}")
    if task is not None and task not in study.evaluation.tasks:
        known = ", ".join(study.evaluation.tasks)
        raise UnknownRunError(f"{task}: no task of study {study.name}: use one of {known}")


def extract_features(study: Study, run: Run, inputs: Inputs, threads: int) -> None:
    """Write the pooled features of a run to `inputs.features`.

    Empty ones if the run failed, or if its features are not finite.
    """
    from radscale_lib.tasks.extraction import extract, write_empty

    check_run(study, run)
    set_up_libraries(threads, study.compute.device)
    catalog = pl.read_parquet(inputs.catalog)
    if has_encoder(inputs):
        try:
            extract(study, inputs, catalog, run.path)
        except NotFiniteError as error:
            print(f"{run.path}: {error}: no features", file=sys.stderr)
            write_empty(study, inputs, catalog, str(error))
    else:
        print(f"{run.path}: the run failed: no features", file=sys.stderr)
        write_empty(study, inputs, catalog)


def write_task(study: Study, run: Run, name: str, inputs: Inputs, out: Path, threads: int) -> None:
    """Write the scores and predictions of one task and run.

    Empty tables if the run failed, or if its features or what a decoder makes of them is not
    finite: scores of such values would look like those of a very bad encoder.

    Args:
        study: the study.
        run: which encoder of the study.
        name: the task's name.
        inputs: the run's files.
        out: folder that gets `scores.parquet` and `predictions.parquet`.
        threads: threads of the numerical libraries.

    Raises:
        UnknownRunError: if the study has no such run or task.
        NoCasesError: if the task has no image to learn from or to be scored on.
    """
    check_run(study, run, name)
    # Imported alone: start-up is most of a small task.
    task = import_module(study.evaluation.tasks[name].implementation)
    set_up_libraries(threads, study.compute.device)
    scores: list[Score] = []
    predictions = task.predictions_schema(study, name).to_frame()
    if has_encoder(inputs):
        try:
            scores, predictions = task.evaluate(study, name, inputs)
        except NotFiniteError as error:
            print(f"{run.path} {name}: {error}: no scores", file=sys.stderr)
    else:
        print(f"{run.path} {name}: the run failed: no scores", file=sys.stderr)
    encoder, confidence = study.encoder_of(run.arm), study.evaluation.confidence
    head = study.evaluation.tasks[name].head_names[0]
    table = score_table(scores, run, encoder, name, confidence, _images(inputs), head)
    for filename, content in (("predictions", predictions), ("scores", table)):
        with atomic_write(out / f"{filename}.parquet") as partial:
            content.write_parquet(partial)
    for row in table.filter(pl.col("target") == MACRO).iter_rows(named=True):
        figures = ", ".join(
            f"{key} {row[key]:.3f}" for key in ("value", "lower", "upper") if row[key] is not None
        )
        what = f"{run.path} {name} ({row['head']}): {row['metric']}"
        print(f"{what} {figures or row['note'] or 'undefined'}", file=sys.stderr)
    for head, choice in (
        table.drop_nulls("choice").select("head", "choice").unique().sort("head").iter_rows()
    ):
        print(f"{run.path} {name} ({head}): chosen on validation: {choice}", file=sys.stderr)


def set_up_libraries(threads: int, device: str) -> None:
    """Bound the threads of the numerical libraries that are in use; equal results on a GPU too."""
    threadpool_limits(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
        if device == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.set_deterministic_debug_mode("warn")  # loads no compiler, as its other name does
