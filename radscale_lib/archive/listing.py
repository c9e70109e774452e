"""The listing of an archive: every file found, by partition.

Standard library only: the workflow calls `refresh` at every start, so that new files are noticed.
"""

import filecmp
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from radscale_lib.archive.scratch import scratch
from radscale_lib.files import make_private

NOT_A_FILE = -1
"""Size of an entry that cannot be opened: an unreadable file or folder, a dead link, a pipe, a
device."""

UNTIMED = 0
"""Time stamp of a file whose listing leaves it out."""

_LINES_IN_MEMORY = 200_000


class ListingError(ValueError):
    """A folder that cannot be listed."""


class Entry(NamedTuple):
    """A file of the archive."""

    path: str
    """Relative to the DICOM folder; bytes that are not UTF-8 as surrogates (PEP 383)."""
    size: int
    """Bytes, or `NOT_A_FILE`."""
    mtime_ns: int


def refresh(dicom: Path, out: Path, partitions: int, timeless: bool = False) -> list[Path]:
    """List the files below `dicom` into `out`/part=K.tsv, one file for each partition.

    A listing whose content did not change keeps its time stamp. Memory grows
    with the largest folder, not with the archive.

    Args:
        dicom: folder of the archive.
        out: folder of the listings.
        partitions: their number.
        timeless: leave out time stamps. For files that change only in number and size: a phantom's
            are part of the results, and are copied with them.

    Returns:
        The listings that changed.

    Raises:
        ListingError: if `dicom` is not a readable folder.
    """
    if not dicom.is_dir() or not os.access(dicom, os.R_OK | os.X_OK):
        raise ListingError(f"{dicom}: not a readable folder: correct the archive's key 'dicom'")
    make_private(out)
    changed = []
    with scratch(out, "refresh") as folder:
        fresh = [folder / f"part={k}.tsv" for k in range(partitions)]
        entries = walk(dicom)
        _write(
            (entry._replace(mtime_ns=UNTIMED) for entry in entries) if timeless else entries, fresh
        )
        for path in fresh:
            target = out / path.name
            if not target.exists() or not filecmp.cmp(path, target, shallow=False):
                path.replace(target)
                changed.append(target)
    for stale in set(out.glob("part=*.tsv")) - {out / path.name for path in fresh}:
        stale.unlink()
    return changed


def walk(folder: Path) -> Iterator[Entry]:
    """Every entry below `folder` that is not a readable folder, in order of its relative path.

    Links are followed, except those to a folder that holds them. What cannot be opened is an entry
    of size `NOT_A_FILE`, so that it is accounted for as well.
    """
    status = folder.stat()
    yield from _walk(folder, "", {(status.st_dev, status.st_ino)})


def _walk(folder: Path, prefix: str, above: set[tuple[int, int]]) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        # A folder sorts as its name plus a slash, so that whole paths come in order.
        entries = sorted(
            ((entry.name + "/" * _is_folder(entry), entry) for entry in found),
            key=itemgetter(0),
        )
    for name, entry in entries:
        path = prefix + name
        try:
            status = entry.stat()
        except OSError:
            yield Entry(path, NOT_A_FILE, 0)
            continue
        if name.endswith("/"):
            here = status.st_dev, status.st_ino
            if here in above:
                continue
            try:
                yield from _walk(Path(entry.path), path, above | {here})
            except PermissionError:
                yield Entry(path, NOT_A_FILE, 0)
        elif stat.S_ISREG(status.st_mode) and _is_readable(entry.path, status.st_mode):
            yield Entry(path, status.st_size, status.st_mtime_ns)
        else:
            yield Entry(path, NOT_A_FILE, 0)


def _is_readable(path: str, mode: int) -> bool:
    """Whether a file may be read; the system is asked only where not everyone may."""
    return bool(mode & stat.S_IROTH) or os.access(path, os.R_OK, effective_ids=True)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def entry_of(folder: Path, path: str) -> Entry:
    """The entry of one file, whether or not it is there."""
    try:
        status = (folder / path).stat()
    except (OSError, ValueError):
        return Entry(path, NOT_A_FILE, 0)
    if not stat.S_ISREG(status.st_mode):
        return Entry(path, NOT_A_FILE, 0)
    return Entry(path, status.st_size, status.st_mtime_ns)


def line_of(entry: Entry) -> str:
    """An entry as a line of a listing."""
    return f"{_escape(entry.path)}\t{entry.size}\t{entry.mtime_ns}\n"


def partition_of(path: str, partitions: int) -> int:
    """The partition of a relative path: its BLAKE2b-8 (RFC 7693), big-endian, modulo the number."""
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions


def read_listing(path: Path) -> list[Entry]:
    """The entries of one partition.

    Raises:
        ListingError: if the file is not a listing.
    """
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return [read_entry(path, number, line) for number, line in enumerate(file, 1)]


def read_entry(path: Path, number: int, line: str) -> Entry:
    """The entry of a line of the listing `path`; `number` is the line's, from 1.

    Raises:
        ListingError: if the line is damaged.
    """
    try:
        name, size, mtime_ns = line.rstrip("\n").split("\t")
        return Entry(_unescape(name), int(size), int(mtime_ns))
    except (KeyError, ValueError):
        raise ListingError(f"{path}: line {number} is damaged: run scan again") from None


def count_listing(path: Path) -> int:
    """How many files a partition's listing has."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _write(entries: Iterator[Entry], paths: list[Path]) -> None:
    for path in paths:
        path.touch()
    pending: dict[int, list[str]] = {}
    held = 0
    for entry in entries:
        pending.setdefault(partition_of(entry.path, len(paths)), []).append(line_of(entry))
        held += 1
        if held == _LINES_IN_MEMORY:
            _flush(pending, paths)
            held = 0
    _flush(pending, paths)


def _flush(pending: dict[int, list[str]], paths: list[Path]) -> None:
    for partition, lines in pending.items():
        with paths[partition].open(
            "a", encoding="utf-8", errors="surrogateescape", newline="\n"
        ) as file:
            file.writelines(lines)
    pending.clear()


_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_PLAIN = {escaped: character for character, escaped in _ESCAPES.items()}


def _escape(name: str) -> str:
    return re.sub(r"[\\\t\n\r]", lambda match: _ESCAPES[match[0]], name)


def _unescape(name: str) -> str:
    return re.sub(r"\\.", lambda match: _PLAIN[match[0]], name)
