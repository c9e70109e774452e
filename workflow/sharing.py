"""Archives shared by several studies: record their users, and refuse changes under them."""

import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NAME = "used-by.txt"
"""File beside an archive's shards that lists the folders of other studies using them."""
_MAKES = ("scan_", "tables_", "catalog_")


class SharedError(RuntimeError):
    """A run that would change an archive used by other studies."""


def use(study: Path, archive: str, user: Path) -> None:
    """Record that a study uses an archive, if the record can be written.

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
        pass  # read-only for this user, so the owner has to know


def users(study: Path, archive: str) -> list[str]:
    """Folders of the other studies that use an archive ingested by a study."""
    try:
        return _note(study, archive).read_text().split("\n")[:-1]
    except OSError:
        return []


def refuse_changes(study: Path, jobs: Iterable[Any]) -> None:
    """Stop a run before it remakes what other studies use.

    Args:
        study: folder of the study that runs.
        jobs: Snakemake's jobs to run.

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
    """Whether a job only remakes freed results."""
    reason = job.dag.reason(job)
    return bool(reason.missing_output) and not (reason.params_changed or reason.updated_input_run)


def _note(study: Path, archive: str) -> Path:
    return study / "data" / archive / NAME
