"""One head process at a time: a lock that the operating system releases when its holder dies."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_held: list[IO[str]] = []


class AlreadyRunningError(RuntimeError):
    """Another process runs this study."""


def hold(path: Path) -> None:
    """Hold the lock file until this process ends, however it ends.

    Unlike Snakemake's own lock, nothing is left to be cleared by hand after a crash.

    Raises:
        AlreadyRunningError: if another process holds it; names its process id.
    """
    _held.append(_lock(path))


def holder(path: Path) -> str:
    """Process and host that hold the lock file; empty if none does."""
    if not path.exists():
        return ""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return ""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file within the block.

    Raises:
        AlreadyRunningError: if another process holds it.
    """
    with _lock(path):
        yield


def _lock(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunningError(
            f"{path}: process {holder} is running this study: wait for it, or stop it first"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file
