"""One head process at a time: a lock that the operating system releases when its holder dies."""

import fcntl
import os
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
    file.write(f"{os.getpid()}\n")
    file.flush()
    _held.append(file)
