"""Archives that several studies use: who does, and that nothing changes under them."""

import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NAME = "used-by.txt"
"""File beside an archive's shards with the folders of other studies that use them, one a line."""
_MAKES = ("scan_", "tables_", "catalog_")


class SharedError(RuntimeError):
    """A run that would change an archive which other studies use."""


def use(study: Path, archive: str, user: Path) -> None:
    """Note that a study uses an archive, as long as the note can be written.

    Args:
        study: folder of the study that ingested it.
        archive: its name.
        user: folder of the study that uses it.
    """
    path, own = _note(study, archive), str(user.resolve())
    try:
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if own not in file.read().splitlines():
                file.write(f"{own}\n")
    except OSError:
        pass  # may only be read, so that its owner has to know


def users(study: Path, archive: str) -> list[str]:
    """Folders of the studies that use an archive which a study ingested."""
    try:
        return _note(study, archive).read_text().split("\n")[:-1]
    except OSError:
        return []


def refuse_changes(study: Path, jobs: Iterable[Any]) -> None:
    """Stop a run before it makes anew what other studies use.

    Args:
        study: folder of the study that runs.
        jobs: that are to run, of Snakemake.

    Raises:
        SharedError: naming the archive and its users.
    """
    for job in jobs:
        archive = _archive_of(job)
        if archive and (of := users(study, archive)) and not _only_freed(job):
            note = _note(study, archive)
            raise SharedError(
                f"{archive}: this run would ingest it again ({job.rule.name}), and other studies "
                f"use it: {', '.join(of)}. `snakemake plan` says what changed: undo the change, "
                "ingest the archive in a study of its own, or accept the results "
                f"(docs/hospital/reruns.md). To change it for all of them, delete {note}"
            )


def _archive_of(job: Any) -> str | None:
    """The archive whose shared files a job makes."""
    name = job.rule.name
    if name in ("make_phantom", "ingest_partition"):
        return str(job.wildcards_dict["archive"])
    return next((name.removeprefix(start) for start in _MAKES if name.startswith(start)), None)


def _only_freed(job: Any) -> bool:
    """Whether a job only makes again what was freed."""
    reason = job.dag.reason(job)
    return bool(reason.missing_output) and not (reason.params_changed or reason.updated_input_run)


def _note(study: Path, archive: str) -> Path:
    return study / "data" / archive / NAME
