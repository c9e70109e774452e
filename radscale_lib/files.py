"""Files that appear whole or not at all, and digests of their content."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_write(path: Path, shared: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block succeeds.

    Readers never see a half-written file, and a killed job leaves only a `.partial` file that the
    next attempt overwrites. The file's content is on disk before the rename.

    Args:
        path: the file.
        shared: whether several jobs may write it at once: each has a temporary path of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = f".{uuid.uuid4().hex}" if shared else ""
    partial = path.with_name(f".{path.name}{mine}.partial")
    yield partial
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


PRIVATE = 0o700


def make_private(folder: Path, mode: int = PRIVATE) -> None:
    """Make a folder for patient data with restricted permissions; an existing one is left alone."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)


def write_json(path: Path, value: Any, shared: bool = False) -> None:
    """Write `value` as indented JSON with sorted keys, whole; for `shared` see `atomic_write`."""
    with atomic_write(path, shared) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
