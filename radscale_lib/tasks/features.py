"""Pooled features of a frozen encoder on disk: a safetensors file with an index of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import InputError
from radscale_lib.study.archive import Labels
from radscale_lib.study.evaluation import Features
from radscale_lib.study.heads.base import FeatureSet
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.labels import TARGETS, columns

LEVELS = (1, 2, 3, 4)
ENCODER = "encoder"
"""Key of the file's metadata: SHA-256 of the encoder that made the features."""
NAMES = (*(f"mean.{level}" for level in LEVELS), "global")
"""Names of the pooled features that are always stored."""
GRID = "grid"
"""Names of those that are stored if a head reads them."""
Vectors = Mapping[str, NDArray[np.float16]]
FAULT = "not finite"
"""Name of a tensor with the reason, in UTF-8, why an encoder has no features."""
FILES = ("features.safetensors", "index.parquet")
SPLITS = ("train", "validation", "test")
AGAIN = "delete it and run snakemake again"


def index_of(catalog: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """Index of the images whose features are kept: ids, split and labels, in catalog order."""
    names = [name for target in TARGETS for name in columns(labels, target)]
    return catalog.filter(pl.col("split").is_in(SPLITS)).select(
        "image_id", "patient_id", "split", "labelled", *names
    )


def save_features(
    inputs: Inputs,
    index: pl.DataFrame,
    vectors: Vectors,
    fault: str | None = None,
) -> None:
    """Write features and index atomically; their rows are the same images.

    Args:
        inputs: its features folder gets `FILES`, which record the digest of its encoder.
        index: see `index_of`.
        vectors: by name, [N, C]: the mean over each level, the global embedding, and, if a head
            reads them, means over the cells of a grid on the deepest level.
        fault: why there are no features, if they were not finite.
    """
    tensors: dict[str, NDArray[Any]] = dict(vectors)
    if fault is not None:
        tensors[FAULT] = np.frombuffer(fault.encode(), np.uint8)
    with atomic_write(inputs.features / FILES[0]) as partial:
        save_file(tensors, partial, {ENCODER: inputs.encoder_digest})
    with atomic_write(inputs.features / FILES[1]) as partial:
        index.write_parquet(partial)


def write_empty(inputs: Inputs, labels: Labels, fault: str | None = None) -> None:
    """Write empty features, for a run without an encoder or without finite features."""
    nothing = np.zeros((0, 1), np.float16)
    index = index_of(pl.read_parquet(inputs.catalog), labels).clear()
    save_features(inputs, index, dict.fromkeys(NAMES, nothing), fault)


def read_features(inputs: Inputs, section: Features) -> tuple[NDArray[np.float32], pl.DataFrame]:
    """Features under the study's pooling, and their index.

    Args:
        inputs: the files of a run, whose features must be of its encoder.
        section: poolings and levels to concatenate.

    Returns:
        float32 [N, D], and the index.

    Raises:
        InputError, NotFiniteError: as `read_vectors`.
    """
    vectors, index = read_vectors(inputs)
    return pooled(vectors, names_of("study", section)), index


def read_vectors(inputs: Inputs) -> tuple[Vectors, pl.DataFrame]:
    """Pooled features by name (`mean.<level>`, `global`, `grid` if kept), and their index.

    Args:
        inputs: the files of a run, whose features must be of its encoder.

    Returns:
        float16 [N, C] each, and the index.

    Raises:
        InputError: if a file is damaged or missing, or the files do not belong together.
        NotFiniteError: if the encoder's features were not finite.
    """
    folder = inputs.features
    tensors, made_by = _read_tensors(folder / FILES[0])
    if made_by != inputs.encoder_digest:
        raise InputError(
            f"{folder}: features of another encoder (SHA-256 {str(made_by)[:16]}) than "
            f"{inputs.encoder} ({inputs.encoder_digest[:16]}): {AGAIN}"
        )
    if FAULT in tensors:
        raise NotFiniteError(tensors[FAULT].tobytes().decode())
    index = _read_index(folder / FILES[1])
    if missing := [name for name in NAMES if name not in tensors]:
        raise InputError(f"{folder}: features.safetensors lacks {', '.join(missing)}: {AGAIN}")
    vectors = {name: tensors[name] for name in (*NAMES, GRID) if name in tensors}
    if any(len(part) != len(index) for part in vectors.values()):
        raise InputError(
            f"{folder}: features.safetensors and index.parquet differ in length: {AGAIN}"
        )
    return vectors, index


def names_of(which: FeatureSet, section: Features) -> tuple[str, ...]:
    """Names of the features of a set, in order; `section` defines those of the study."""
    if which == "study":
        means = [f"mean.{level}" for level in section.levels if "mean" in section.pool]
        return (*means, *(["global"] if "cls" in section.pool else []))
    *means, global_ = NAMES
    return {
        "global": (global_,),
        "last": (means[-1],),
        "levels": tuple(means),
        "all": NAMES,
        "grid": (GRID, global_),
    }[which]


def pooled(vectors: Vectors, names: Sequence[str]) -> NDArray[np.float32]:
    """Concatenated features: float32 [N, D]."""
    return np.concatenate([vectors[name] for name in names], axis=1, dtype=np.float32)


def _read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], str | None]:
    """Tensors by name, and the digest of their encoder."""
    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, (file.metadata() or {}).get(ENCODER)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from None


def _read_index(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    what = "missing" if isinstance(error, FileNotFoundError) else "damaged, or another kind of file"
    return InputError(f"{path}: {what}: {AGAIN}")
