"""Copy shards to a node's own disk."""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from radscale_lib.files import make_private


def stage(shards: Path, names: Iterable[str], scratch: Path) -> Path:
    """Copy shards to a node-local folder, where runs on the node share them.

    A shard that is already there with the same size and time is not copied again. Jobs may copy at
    the same time, since copies appear atomically.

    Args:
        shards: folder of the shards.
        names: files in it that are needed.
        scratch: node-local folder, created if needed. Variables such as $TMPDIR are expanded on
            this node.

    Returns:
        The folder to read from: `shards` itself if `scratch` lacks the space.
    """
    folder = staged(shards, scratch)
    make_private(folder)
    missing = {name: file for name in sorted(set(names)) if _differs(file := shards / name, folder)}
    need = sum(file.stat().st_size for file in missing.values())
    free = shutil.disk_usage(folder).free
    if need > free:
        print(
            f"{folder}: {need / 1e9:.1f} GB of shards do not fit into {free / 1e9:.1f} GB: "
            f"reading from {shards}",
            file=sys.stderr,
        )
        return shards
    for name, file in missing.items():
        partial = folder / f".{name}.{os.getpid()}.partial"
        shutil.copy2(file, partial)
        partial.replace(folder / name)
    return folder


def staged(shards: Path, scratch: Path) -> Path:
    """The folder below `scratch` that holds copies of these shards.

    Raises:
        ValueError: if `scratch` names a variable that this node does not set.
    """
    local = os.path.expandvars(scratch)
    if unset := re.search(r"\$(\w+|\{\w+\})", local):
        raise ValueError(
            f"scratch {str(scratch)!r} of the site file: {unset[0]} is not set on this node: give "
            "a folder, or a variable that every node sets"
        )
    return Path(local) / "radscale" / shards.resolve().relative_to("/")


def _differs(file: Path, folder: Path) -> bool:
    copy = folder / file.name
    if not copy.exists():
        return True
    ours, theirs = copy.stat(), file.stat()
    return (ours.st_size, ours.st_mtime_ns) != (theirs.st_size, theirs.st_mtime_ns)
