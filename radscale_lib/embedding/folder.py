"""The images of a folder: which files are images, and their pixels in a fixed order."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from radscale_lib.archive.imagefile import format_of, read_image
from radscale_lib.archive.outcomes import RefusedError
from radscale_lib.archive.workers import WorkerDied, Workers
from radscale_lib.shards.codec import Grey, as_8_bits
from radscale_lib.study.archive import Image

IMAGE_SUFFIXES = frozenset({"", ".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".ima"})
"""Suffixes of files that always count as images; DICOM files often have none, or a number."""
MOST_SECONDS = 120.0
"""Processor seconds allowed for reading one image."""


class Bad(NamedTuple):
    """A file that should be an image but cannot be read."""

    reason: str
    """A fixed code of `docs/hospital/ingest.md`, with a detail free of identifiers."""


def image_files(folder: Path) -> tuple[list[Path], int]:
    """The image files of a folder and its subfolders, sorted by their path.

    A file is recognised by its name (`IMAGE_SUFFIXES`, or a number as suffix) or its first bytes;
    hidden files and folders are left out.

    Args:
        folder: the folder, or a single file.

    Returns:
        Paths, and the number of other files.

    Raises:
        OSError: if a folder cannot be listed.
    """
    if folder.is_file():
        return [folder], 0
    found, others = list[Path](), 0
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and _is_image(path):
                found.append(path)
            else:
                others += 1
    return sorted(found, key=lambda path: path.relative_to(folder).parts), others


def read_all(
    paths: Sequence[Path], image: Image | None = None, processes: int = 1
) -> Iterator[Grey | Bad]:
    """Pixels of each file in turn, uint8 [H, W], or why it cannot be read.

    Files are decoded in separate processes, so that one that crashes or hangs a decoder affects no
    other.

    Args:
        paths: the files.
        image: how DICOM pixels are prepared (`read_dicom`).
        processes: how many decode.
    """
    with Workers(partial(_try_to_read, image), processes, MOST_SECONDS) as workers:
        for result in workers.map(paths):
            if isinstance(result, WorkerDied):
                yield Bad(f"{'decoder_hung' if result.hung else 'decoder_crashed'} {result.signal}")
            else:
                yield result


def _refuse(error: OSError) -> None:
    raise error


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix[1:].isdecimal():
        return True
    try:
        return format_of(path) is not None
    except OSError:
        return False


def _try_to_read(image: Image | None, path: Path) -> Grey | Bad:
    try:
        return as_8_bits(read_image(path, image))
    except RefusedError as refused:
        return Bad(f"{refused.reason} ({refused.detail})" if refused.detail else refused.reason)
