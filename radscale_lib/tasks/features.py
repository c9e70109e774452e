"""Pooled features of a frozen encoder on disk: a safetensors file and its index of images."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from radscale_lib.files import atomic_write, file_digest
from radscale_lib.provenance.step import InputError
from radscale_lib.study.archive import Labels
from radscale_lib.study.evaluation import Features
from radscale_lib.tasks.labels import columns

LEVELS = (1, 2, 3, 4)
ENCODER = "encoder"
"""Key of the file's metadata: SHA-256 of the encoder that the features are of."""
SPLITS = ("train", "validation", "test")


def index_of(catalog: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """Index of the images whose features are kept: ids, split and labels, in catalog order."""
    names = [*columns(labels, "findings"), *columns(labels, "tubes")]
    return catalog.filter(pl.col("split").is_in(SPLITS)).select(
        "image_id", "patient_id", "split", "labelled", *names
    )


def save_features(
    folder: Path,
    index: pl.DataFrame,
    means: list[NDArray[np.float16]],
    global_: NDArray[np.float16],
    encoder: Path,
) -> None:
    """Write features and index, whole; rows of both are the same images.

    Args:
        folder: gets `features.safetensors` and `index.parquet`.
        index: see `index_of`.
        means: mean over the grid of each level, [N, C].
        global_: global embedding, [N, D].
        encoder: the encoder's file; the features carry its digest.
    """
    tensors = {f"mean.{level}": mean for level, mean in zip(LEVELS, means, strict=True)}
    with atomic_write(folder / "features.safetensors") as partial:
        metadata = {ENCODER: file_digest(encoder)}
        save_file(tensors | {"global": global_}, partial, metadata)
    with atomic_write(folder / "index.parquet") as partial:
        index.write_parquet(partial)


def read_features(
    folder: Path, section: Features, encoder: Path
) -> tuple[NDArray[np.float32], pl.DataFrame]:
    """Features under the study's pooling, and their index.

    Args:
        folder: what `write_features` made.
        section: poolings and levels that are concatenated.
        encoder: the file of the encoder that the features must be of.

    Returns:
        float32 [N, D], and the index.

    Raises:
        InputError: if the files do not belong together.
    """
    with safe_open(folder / "features.safetensors", "numpy") as file:
        made_by = (file.metadata() or {}).get(ENCODER)
    if made_by != file_digest(encoder):
        raise InputError(
            f"{folder}: features of another encoder than {encoder}: run scripts/features.py again"
        )
    index = pl.read_parquet(folder / "index.parquet")
    tensors = load_file(folder / "features.safetensors")
    parts = [tensors[f"mean.{level}"] for level in section.levels if "mean" in section.pool]
    if "cls" in section.pool:
        parts.append(tensors["global"])
    if any(len(part) != len(index) for part in parts):
        raise InputError(
            f"{folder}: features.safetensors and index.parquet differ in length: "
            "run scripts/features.py again"
        )
    return np.concatenate(parts, axis=1, dtype=np.float32), index
