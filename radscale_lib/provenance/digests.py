"""Digests of files, as fast as they can be read."""

import os
from collections.abc import Iterator
from pathlib import Path

import xxhash

_BLOCK = 2**20


def digest(path: Path) -> str:
    """XXH3 of a file's content, 128 bits, as 32 hex digits.

    It detects damage and mix-ups several times as fast as SHA-256, but not forgery.
    """
    state, block = xxhash.xxh3_128(), memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            state.update(block[:size])
    return state.hexdigest()


def files_of(path: Path) -> Iterator[Path]:
    """A file, or the files of a folder in order, except those whose name begins with a dot."""
    if not path.is_dir():
        yield path
        return
    for folder, names, files in os.walk(path, followlinks=True):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(folder, name)
