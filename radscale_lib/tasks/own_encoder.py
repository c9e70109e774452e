"""Any encoder on a study's ingested archive: the study's tasks, and nothing else of its run."""

from pathlib import Path

import polars as pl

from radscale_lib.encoders.loading import load_file
from radscale_lib.encoders.storage import save_encoder
from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import InputError
from radscale_lib.shards.labels import label_files
from radscale_lib.study.model import Run, Study
from radscale_lib.tasks.draws import FILE, apart
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.runs import SCORES, TABLE
from radscale_lib.tasks.scoring import score_run


def evaluate_encoder(
    study: Study, spec: str, out: Path, name: str, tasks: list[str] | None = None, threads: int = 1
) -> pl.DataFrame:
    """Evaluate an encoder by a study's tasks, on the images that the study ingested.

    Splits, draws and protocols are the study's, so the scores are paired with those of its runs.

    Args:
        study: the study; its `institution` must have been ingested (`snakemake ingest`).
        spec: the encoder, as `encoders.load` takes it.
        out: folder that gets `encoder.safetensors`, `features/`, `tasks/<task>/` and
            `scores.parquet`, the scores of all tasks, whose `arm` is `name`, with `draws.parquet`.
        name: of the encoder.
        tasks: of the study; None: all of them.
        threads: threads of the numerical libraries.

    Returns:
        The scores, as in `scores.parquet` of a study.

    Raises:
        InputError: if the archive is not ingested, the study has no such task, or the encoder
            cannot be used.
    """
    data = study.data_folder("institution")
    if not (data / "catalog.parquet").is_file():
        raise InputError(f"{data}: no catalog of this archive: run `snakemake ingest` first")
    known = study.evaluation.tasks
    chosen = list(known) if tasks is None else tasks
    if unknown := [task for task in chosen if task not in known]:
        raise InputError(f"{unknown[0]}: no task of study {study.name}: use {', '.join(known)}")
    labels = study.folder / "labels/held-out" if study.labels.readers else None
    if labels is not None and not all(file.is_file() for file in label_files(study.labels, labels)):
        raise InputError(
            f"{labels}: the reports' labels are not read: run `snakemake labels` first"
        )
    file = out / "encoder.safetensors"
    save_encoder(file, load_file(spec))
    ranges = study.folder / "data/institution/ranges.arrow"
    inputs = Inputs(
        file,
        out / "features",
        data / "catalog.parquet",
        data / "shards",
        ranges if ranges.is_file() else None,
        labels,
    )
    run = Run(name, 0, 0)
    tables = {task: out / "tasks" / task / TABLE for task in chosen}
    evaluate_run(study, run, inputs, tables, threads)
    scores = score_run(study, run, name, tables, inputs.catalog, file)
    for filename, table in zip((SCORES, FILE), apart(scores), strict=True):
        with atomic_write(out / filename) as partial:
            table.write_parquet(partial)
    return scores
