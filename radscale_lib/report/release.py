"""List, check and copy the files of a study that may leave the institution.

Scores, fits, figures and tables are about groups, and encoders are weights; these may leave. Rows
on images and patients stay, even with pseudonyms: catalogs, shards, subsets, features, predictions.
"""

import hashlib
import hmac
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from radscale_lib.files import atomic_write, read_json, write_json
from radscale_lib.report.crate import write_crate
from radscale_lib.study import Study

PUBLIC = (
    "report.html", "figures/*", "tables/*", "scores.parquet", "draws.parquet", "subgroups.parquet",
    "reliability.parquet", "differences.parquet", "checkpoints.parquet",
    "fits.parquet", "crossovers.parquet", "comparisons.parquet",
    "label_fits.parquet", "joint.parquet", "verdicts.parquet",
    "test_archives/*/*.parquet", "subsets/card.parquet", "subsets/splits.parquet",
    "encoders/*/*/*/encoder.safetensors", "encoders/*/*/*/encoder.json",
    "encoders/*/*/*/log.parquet",
)  # fmt: skip
"""Patterns of files in the study's folder that may leave; everything else stays."""
PRIVATE_COLUMNS = frozenset({
    "path", "path_digest", "patient_id", "study_id", "image_id", "image", "image_digest",
    "findings", "impression", "indication", "comparison",
})  # fmt: skip
"""Columns of tables about single images."""
DIGESTS = ("subset_digest", "base_digest")
"""Fields of a run's card that anyone with the same files could compare."""
_PICTURES = ("similarity-", "films-")
"""Names of figures of patients that older versions put beside the others."""
ALL_LABELS = ("macro", "micro")
"""Targets that stand for all labels of a task."""
_HEADER_LENGTH = 8


class Item(NamedTuple):
    """A file that may leave unless a problem is found in it."""

    path: Path
    """Path relative to the study's folder."""
    problems: list[str]
    """Why it must stay; empty if there is no reason."""


def items(study: Study) -> list[Item]:
    """The files of a study that may leave, each with any reasons against it.

    Figures that show images of patients are in `figures/patients/`, which stays, and so does a
    report that shows them or patients' texts; a phantom's show nobody. The floor of pixels stays.
    """
    secrets = _secrets(study)
    # Principal components of films resemble films.
    shapes_of_films = {name for name, (_, kind) in study.floors.items() if kind == "pixels"}
    with_patients = study.institution.phantom is None and (
        study.report.similarity or study.report.examples
    )
    found = []
    for pattern in PUBLIC:
        for path in sorted(study.folder.glob(pattern)):
            if not path.is_file() or path.name.startswith("."):  # Snakemake's marker in folders
                continue
            name = path.relative_to(study.folder)
            if path.suffix == ".safetensors" and name.parts[1] in shapes_of_films:
                continue
            problems = list(_problems(path, secrets))
            shows = name.name.startswith(_PICTURES) and name.parts[0] == "figures"
            if with_patients and (shows or name.name == "report.html"):
                problems.append(
                    "may show images or texts of patients: set report.similarity and "
                    "report.examples to false and make it again"
                )
            found.append(Item(name, problems))
    return found


def release(
    study: Study, key: bytes, out: Path, license: str | None = None, author: str | None = None
) -> None:
    """Copy releasable files to a new folder, with keyed digests and without paths of weights.

    The folder is an RO-Crate: `ro-crate-metadata.json` describes its files.

    Args:
        study: the study.
        key: secret key of the institution's pseudonyms.
        out: folder to make.
        license: address of the licence of the files, for the crate.
        author: name of the institution, for the crate.

    Raises:
        FileExistsError: if it exists.
        ValueError: if there is a reason against a file.
    """
    listed = items(study)
    refused = [item for item in listed if item.problems]
    if refused:
        raise ValueError(told(refused))
    out.mkdir(parents=True)
    few = {
        folder: _few(study.folder / folder / "scores.parquet", study.smallest_cell(archive))
        for archive, folder in _folders(study).items()
    }
    for item in listed:
        source, target = study.folder / item.path, out / item.path
        if source.name == "encoder.json":
            write_json(target, keyed_card(read_json(source), key))
        elif (of := few.get(item.path.parent)) is not None and _names_labels(source):
            table = without_labels(pl.read_parquet(source), of)
            with atomic_write(target) as partial:
                table.write_parquet(partial)
        elif source.suffix == ".safetensors":
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_encoder(source, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    write_crate(study, out, [item.path for item in listed], license, author)


def _folders(study: Study) -> dict[str, Path]:
    """Folder of each archive's tables, relative to the study's folder."""
    elsewhere = {name: Path("test_archives", name) for name in study.test_archives}
    return {"institution": Path()} | elsewhere


def _few(scores: Path, smallest: int) -> pl.DataFrame | None:
    """Labels that few test images have or lack, from the scores; None without counts."""
    if {"task", "target", "positives", "cases"} <= set(_columns(scores)):
        return small_labels(pl.read_parquet(scores), smallest)
    return None


def _names_labels(path: Path) -> bool:
    return {"task", "target"} <= set(_columns(path))


def small_labels(scores: pl.DataFrame, smallest: int) -> pl.DataFrame:
    """Labels that fewer test images than `smallest` have, or lack: columns `task, target`."""
    counts = pl.col("positives"), pl.col("cases") - pl.col("positives")
    few = pl.any_horizontal(count.is_between(1, smallest - 1) for count in counts)
    of_labels = ~pl.col("target").is_in(ALL_LABELS)
    return scores.filter(few & of_labels).select("task", "target").unique()


def without_labels(table: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """A table without the rows of some labels, and without sums that would reveal them.

    Args:
        table: columns `task, target`, and perhaps `positives`.
        labels: columns `task, target`.
    """
    table = table.join(labels, on=["task", "target"], how="anti", maintain_order="left")
    if "positives" not in table.columns:
        return table
    tells = pl.col("target").is_in(ALL_LABELS) & pl.col("task").is_in(labels["task"].implode())
    return table.with_columns(pl.when(tells).then(None).otherwise("positives").alias("positives"))


def told(listed: list[Item]) -> str:
    """Files with any reasons against them, one line each."""
    return "\n".join(
        f"{item.path}: {'; '.join(item.problems) or 'nothing found'}" for item in listed
    )


def keyed_card(card: dict[str, Any], key: bytes) -> dict[str, Any]:
    """A run's card whose digests only the key's holder can compare (HMAC-SHA-256)."""
    keyed = {
        name: hmac.new(key, f"digest\0{card[name]}".encode(), hashlib.sha256).hexdigest()
        for name in DIGESTS
        if card.get(name)
    }
    return card | keyed


def _secrets(study: Study) -> list[tuple[bytes, str]]:
    """Texts that must not be in any file, with a description."""
    secrets = []
    for name, archive in study.archives.items():
        for key in ("dicom", "reports", "labels", "tubes", "key_file"):
            place = getattr(archive, key)
            if place is not None and place.is_absolute():
                secrets.append((str(place).encode(), f"the path of {name}.{key}"))
        secrets += [(model.encode(), "a device of few patients") for model in _rare(study, name)]
    return secrets


def _rare(study: Study, archive: str) -> list[str]:
    """Device models with four letters or more that the catalog does not name."""
    folder = study.data_folder(archive)
    catalog = folder / "catalog.parquet"
    parts = sorted((folder / "index").glob("part=*.parquet"))
    if not parts or not catalog.exists():
        return []
    named = pl.read_parquet(catalog, columns=["scanner"])["scanner"]
    read = pl.scan_parquet(parts).select("scanner").unique().collect()["scanner"].drop_nulls()
    return [model for model in sorted(set(read) - set(named)) if len(model) > 3]


def _columns(path: Path) -> list[str]:
    is_table = path.suffix == ".parquet" and path.exists()
    return list(pl.read_parquet_schema(path)) if is_table else []


def _problems(path: Path, secrets: list[tuple[bytes, str]]) -> Iterator[str]:
    if path.suffix == ".parquet":
        schema = pl.read_parquet_schema(path)
        yield from _private(schema)
        texts = [name for name, kind in schema.items() if kind == pl.String]
        data = pl.read_parquet(path, columns=texts).write_csv().encode() if texts else b""
    elif path.suffix == ".safetensors":
        data = _public_header(_header(path)[0])
    else:
        data = path.read_bytes()
        if path.suffix == ".csv":
            yield from _private(data.partition(b"\n")[0].decode().strip().split(","))
    for secret, what in secrets:
        if secret in data:
            yield f"holds {what}"


def _private(columns: Iterable[str]) -> Iterator[str]:
    for column in sorted(PRIVATE_COLUMNS & set(columns)):
        yield f"has rows of single images (column {column!r})"


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its tensors begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH), "little")
        return json.loads(file.read(length)), _HEADER_LENGTH + length


def _public_header(header: dict[str, Any]) -> bytes:
    """The header without the path of the encoder's initial weights, padded to 8 bytes."""
    metadata = dict(header.get("__metadata__", {}))
    if "config" in metadata:
        metadata["config"] = json.dumps(
            json.loads(metadata["config"]) | {"weights": None}, sort_keys=True
        )
    text = json.dumps(header | {"__metadata__": metadata}, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _copy_encoder(source: Path, target: Path) -> None:
    header, start = _header(source)
    text = _public_header(header)
    with atomic_write(target) as partial, partial.open("wb") as copy, source.open("rb") as file:
        copy.write(len(text).to_bytes(_HEADER_LENGTH, "little") + text)
        file.seek(start)
        shutil.copyfileobj(file, copy)
