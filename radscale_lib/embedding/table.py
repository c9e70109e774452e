"""Embeddings of images as a Parquet table, written batch by batch, whole or not at all."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from radscale_lib.embedding.folder import Bad
from radscale_lib.encoders.features import Features, Tower
from radscale_lib.files import atomic_write
from radscale_lib.progress import Progress
from radscale_lib.provenance.step import InputError
from radscale_lib.shards.codec import Grey
from radscale_lib.texts import plain

LEVELS = ("level1", "level2", "level3", "level4")


class NoImagesError(InputError):
    """No image could be embedded; nothing was written."""


class Counts(NamedTuple):
    """How many image files were embedded, and how many were not."""

    embedded: int
    bad: int


@torch.no_grad()
def features_of(tower: Tower, images: Sequence[Grey]) -> Features:
    """Features of grey images, uint8 [H, W] of any sizes, in one forward pass, on the CPU."""
    device = next((parameter.device for parameter in tower.parameters()), torch.device("cpu"))
    features = tower.levels(tower.prepare(images).to(device))
    one, two, three, four = (level.float().cpu() for level in features.levels)
    return Features(features.global_.float().cpu(), (one, two, three, four))


def write_embeddings(
    tower: Tower,
    folder: Path,
    paths: Sequence[Path],
    pixels: Iterable[Grey | Bad],
    out: Path,
    *,
    levels: bool = False,
    batch: int = 16,
) -> Counts:
    """Embed images and write a row for each that could be read.

    Args:
        tower: the encoder, in evaluation mode, on the device to use.
        folder: what the paths in the table are relative to.
        paths: the files, in the order of the rows.
        pixels: pixels of each file, in the same order (`read_all`); unreadable files are named on
            standard error.
        out: Parquet file with `path`, `embedding` and, with `levels`, the means `level1` to
            `level4` over the grids.
        levels: whether to write the means.
        batch: images per forward pass.

    Raises:
        NoImagesError: if no file could be read.
    """
    names = ["embedding", *(LEVELS if levels else ())]
    schema = pa.schema([("path", pa.string()), *((name, pa.list_(pa.float32())) for name in names)])
    embedded = bad = 0
    progress = Progress("images", len(paths))

    def sound() -> Iterator[tuple[str, Grey]]:
        nonlocal bad
        for path, read in zip(paths, pixels, strict=True):
            name = _name(path, folder)
            if isinstance(read, Bad):
                bad += 1
                print(f"bad file {plain(name)}: {read.reason}", file=sys.stderr)
            else:
                yield name, read
            progress.step()

    parts = _batches(sound(), batch)
    first = next(parts, None)
    if first is None:
        raise NoImagesError(f"{folder}: none of {bad} image files can be read")
    with atomic_write(out) as partial, pq.ParquetWriter(partial, schema) as writer:
        for part in chain([first], parts):
            features = features_of(tower, [image for _, image in part])
            means = [level.mean((2, 3)) for level in features.levels] if levels else []
            columns = [_lists(values.numpy()) for values in (features.global_, *means)]
            writer.write_batch(
                pa.record_batch([pa.array([name for name, _ in part]), *columns], schema=schema)
            )
            embedded += len(part)
    return Counts(embedded, bad)


def _batches(images: Iterable[tuple[str, Grey]], size: int) -> Iterator[list[tuple[str, Grey]]]:
    part: list[tuple[str, Grey]] = []
    for image in images:
        part.append(image)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _name(path: Path, folder: Path) -> str:
    """Path relative to the folder, with / between its parts; bytes that are not UTF-8 escaped."""
    relative = path.name if path == folder else path.relative_to(folder).as_posix()
    return os.fsencode(relative).decode("utf-8", "backslashreplace")


def _lists(values: NDArray[np.float32]) -> pa.Array:
    """A matrix [N, D] as a column of N lists."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values).reshape(-1)))
