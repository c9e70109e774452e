"""A lock that lets one process at a time run a study; the system releases it if the holder dies."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

_held: list[IO[str]] = []
_PATIENCE = 0.5
"""Seconds to wait for a process that only checks who holds the lock, as `status` does."""


class AlreadyRunningError(RuntimeError):
    """Another process runs this study."""


def hold(path: Path) -> None:
    """Hold the lock file until this process ends, in whatever way.

    Unlike with Snakemake's own lock, nothing has to be cleared by hand after a crash.

    Raises:
        AlreadyRunningError: if another process holds it; names its process id.
    """
    _held.append(_lock(path))


def holds() -> bool:
    """Whether this process holds a lock."""
    return bool(_held)


def holder(path: Path) -> str:
    """Process and host of the lock's holder; empty if there is none."""
    if not path.exists():
        return ""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return ""


def _lock(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    if not _acquired(file):
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunningError(
            f"{path}: process {holder} is running this study: wait for it, or stop it first"
        )
    file.truncate(0)
    file.write(f"{os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _acquired(file: IO[str]) -> bool:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
