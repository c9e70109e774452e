"""Export an encoder: files for another library and a model card, all or nothing."""

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import polars as pl

from radscale_lib.encoders.loading import file_of, load_file
from radscale_lib.files import read_json
from radscale_lib.hub.card import COLUMNS, model_card
from radscale_lib.hub.files import ExportError
from radscale_lib.provenance.step import InputError
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.model import Study


def export(
    encoder: str | Path,
    form: str,
    out: Path,
    *,
    study: Study | None = None,
    scores: Path | None = None,
    license: str = "other",
    half: bool = False,
) -> None:
    """Write an encoder as a folder for another library, with a model card in `README.md`.

    Args:
        encoder: `encoder.safetensors` of a run, or the run's folder (its card is `encoder.json`
            there); or anything else that `encoders.load` takes.
        form: a key of the kind's `exports`, as `transformers`.
        out: the folder, new or empty.
        study: for the card: which images were selected.
        scores: for the card: `scores.parquet` of the study; null: the one of the encoder's study,
            if it is there.
        license: for the card, an identifier of the Hugging Face Hub.
        half: store weights as float16, which halves the files.

    Raises:
        ExportError: if the encoder's kind has no such form, or the folder is not empty.
        EncoderFileError, ReleaseError: if there is no encoder.
    """
    path = file_of(encoder)
    content = load_file(encoder)
    if not content.tensors:
        raise ExportError(f"{encoder}: the run failed, so there is no encoder: see encoder.json")
    module = import_module(module_of(content.encoder, form))
    if half:
        halved = {name: x.half() for name, x in content.tensors.items()}
        content = replace(content, tensors=halved)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out}: already exists and is not empty: give a new folder")
    facts = path.with_name("encoder.json")
    run = read_json(facts) if path.is_file() and facts.is_file() else {}
    scores = scores or _scores_of(path)
    table = _read_scores(scores) if scores else None
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        usage = module.export(content, partial)
        card = model_card(content.encoder, form, usage, run, table, study, license)
        (partial / "README.md").write_text(card, encoding="utf-8")
    except InputError:
        shutil.rmtree(partial)
        raise
    partial.replace(out)


def module_of(encoder: EncoderSection, form: str) -> str:
    """The module that writes a form of an encoder.

    Raises:
        ExportError: naming the forms that its kind has.
    """
    if form not in encoder.exports:
        raise ExportError(
            f"an encoder of kind {encoder.kind!r} has no form for {form}: use one of "
            f"{', '.join(encoder.exports)}"
        )
    return encoder.exports[form]


def _read_scores(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        table = pl.DataFrame()
    if not set(table.columns) >= COLUMNS:
        raise ExportError(
            f"{path}: no table of a study's scores: name results/<study>/scores.parquet"
        )
    return table


def _scores_of(encoder: Path) -> Path | None:
    """Scores of the study whose results contain an encoder, if they exist."""
    above = encoder.absolute().parents
    if len(above) < 5 or above[3].name != "encoders":
        return None
    scores = above[4] / "scores.parquet"
    return scores if scores.is_file() else None
