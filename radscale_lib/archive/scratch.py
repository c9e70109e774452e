"""Scratch folders beside the final output, removed even after a process was killed."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch(parent: Path, kind: str) -> Iterator[Path]:
    """Make a hidden folder in `parent` for the block.

    Folders of the same kind whose process has ended are removed first, if it ran on this machine;
    those of other machines stay.
    """
    ours = f".{kind}-{socket.gethostname()}-"
    for left in parent.glob(f"{ours}*"):
        process = left.name.removeprefix(ours).partition("-")[0]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{ours}{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
