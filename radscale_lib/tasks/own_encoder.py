"""Evaluate any encoder on a study's ingested archives with the study's tasks."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
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

HERE = "institution"


def evaluate_encoder(
    study: Study,
    spec: str,
    out: Path,
    name: str,
    tasks: Sequence[str] | None = None,
    threads: int = 1,
    archives: Sequence[str] | None = None,
) -> dict[str, pl.DataFrame]:
    """Evaluate an encoder by a study's tasks, on the images that the study ingested.

    Splits, bootstrap draws and protocols are the study's, so the scores are paired with its runs'.

    Args:
        study: the study; its archives must have been ingested (`snakemake ingest`).
        spec: the encoder, as for `encoders.load`.
        out: folder that gets `encoder.safetensors`, `features/`, `tasks/<task>/` and
            `scores.parquet`, the scores of all tasks, whose `arm` is `name`, with `draws.parquet`;
            the same for each test archive in `test_archives/<archive>/`.
        name: of the encoder.
        tasks: of the study; None: all of them.
        threads: threads of the numerical libraries.
        archives: test archives of the study; None: all of them.

    Returns:
        The scores of `institution` and of each test archive, as in `scores.parquet` of a study.

    Raises:
        InputError: if an archive is not ingested, the study has no such task or archive, or the
            encoder cannot be used.
    """
    chosen = _known("task", study, study.evaluation.tasks, tasks)
    abroad = _known("test archive", study, study.test_archives, archives)
    labels = study.folder / "labels/held-out" if study.labels.readers else None
    file = out / "encoder.safetensors"
    inputs = _inputs(study, HERE, file, out, labels)
    folders = {archive: out / "test_archives" / archive for archive in abroad}
    elsewhere = {at: _inputs(study, at, file, folder) for at, folder in folders.items()}
    if labels is not None and not all(each.is_file() for each in label_files(study.labels, labels)):
        raise InputError(
            f"{labels}: the labels of the reports have not been read: run `snakemake labels` first"
        )
    save_encoder(file, load_file(spec))
    run = Run(name, 0, 0)

    def tables(folder: Path, tasks: Sequence[str]) -> dict[str, Path]:
        return {task: folder / "tasks" / task / TABLE for task in tasks}

    here = tables(out, chosen)
    scored = {at: [task for task in chosen if task in study.tasks_at(at)] for at in abroad}
    there = {at: tables(folder, scored[at]) for at, folder in folders.items()}
    evaluate_run(study, run, replace(inputs, elsewhere=elsewhere), here, threads, None, there)
    found = {HERE: _scored(study, run, here, inputs, out)}
    for at, folder in folders.items():
        found[at] = _scored(study.seen_from(at), run, there[at], elsewhere[at], folder)
    return found


def _known(
    what: str, study: Study, known: Iterable[str], wanted: Sequence[str] | None
) -> list[str]:
    """The requested tasks or archives of a study; all of them if none are requested."""
    names = list(known)
    for one in wanted or ():
        if one not in names:
            listed = ", ".join(names) or "(it has none)"
            raise InputError(f"{one}: no {what} of study {study.name}: use {listed}")
    return names if wanted is None else list(wanted)


def _inputs(
    study: Study, archive: str, encoder: Path, out: Path, labels: Path | None = None
) -> Inputs:
    data = study.data_folder(archive)
    if not (data / "catalog.parquet").is_file():
        raise InputError(f"{data}: no catalog of this archive: run `snakemake ingest` first")
    ranges = study.folder / "data" / archive / "ranges.arrow"
    return Inputs(
        encoder,
        out / "features",
        data / "catalog.parquet",
        data / "shards",
        ranges if ranges.is_file() else None,
        labels,
    )


def _scored(
    study: Study, run: Run, tables: dict[str, Path], inputs: Inputs, out: Path
) -> pl.DataFrame:
    scores = score_run(study, run, run.arm, tables, inputs.catalog, inputs.encoder)
    for filename, table in zip((SCORES, FILE), apart(scores), strict=True):
        with atomic_write(out / filename) as partial:
            table.write_parquet(partial)
    return scores
