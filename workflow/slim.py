"""Freeing the disk of what can be made again, so that the study stays current.

The manifest of a job whose results are freed says so, and stays. Its results count as being there,
with the content that it states, until a job that is to run reads them: then they are made again.
Whether a study is current is therefore the same before and after.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radscale_lib.planning.disk import size_text
from radscale_lib.provenance.digests import files_of
from radscale_lib.provenance.manifest import (
    DONE,
    Provenance,
    manifest_names,
    path_of,
    write_manifest,
)
from radscale_lib.study.model import Study
from workflow.jobs import makes_encoder
from workflow.sharing import users

_RUN = re.compile("[0-9a-f]{32}")
"""Folder of a run's training state; others below `work/` hold what cost more than time."""


@dataclass
class Freed:
    """Files of one kind that were freed, or would be.

    Attributes:
        what: the kind, in words.
        size: bytes.
        kept: why nothing of it is freed; empty if it is.
    """

    what: str
    size: int = 0
    kept: str = ""


def slim(study: Study, dag: Any, scratch: str | None, *, shards: bool, only_look: bool) -> str:
    """Free what can be made again, but for what a job that is still to run reads.

    Args:
        study: the study; the caller holds its lock, unless it only looks.
        dag: Snakemake's, of the jobs that a run would have.
        scratch: the site's node-local folder, of which this machine's copies of shards are freed.
        shards: whether to free the shards, too, with the index of their bytes.
        only_look: whether to say what would be freed, and free nothing.

    Returns:
        What was freed, as a table for the terminal.
    """
    planned = list(dag.needrun_jobs())
    read = {str(path) for job in planned for path in job.input}
    trains = any(makes_encoder(job.rule.name) for job in planned)
    rows = [_features(study.folder, read, only_look), _states(study.folder, trains, only_look)]
    rows.append(_staged(study, scratch, only_look))
    if shards:
        own = [name for name, archive in study.archives.items() if not archive.ingested]
        rows += [_shards(study, name, read, only_look) for name in own]
    lines = [f"{'to be freed' if only_look else 'freed':<28}{'size':>10}"]
    for row in rows:
        lines.append(f"{row.what:<28}{size_text(row.size):>10}  {row.kept}".rstrip())
    lines.append(f"{'all':<28}{size_text(sum(row.size for row in rows)):>10}")
    return "\n".join([*lines, "", "The study is as current as before: `snakemake plan` tells."])


def _features(study: Path, read: Set[str], only_look: bool) -> Freed:
    row, waited_for = Freed("features"), 0
    for job in manifest_names(study):
        if job.startswith("features/"):
            if any(str(study / name) in read for name in _outputs(study, job)):
                waited_for += 1
            else:
                row.size += _free(study, job, _outputs(study, job), only_look)
    if waited_for:
        row.kept = f"those of {waited_for} runs are kept: jobs that are still to run read them"
    return row


def _shards(study: Study, archive: str, read: Set[str], only_look: bool) -> Freed:
    row, folder = Freed(f"shards of {archive}"), study.folder
    index = f"data/{archive}/ranges.arrow"
    # Whatever reads shards reads their index.
    if str(folder / index) in read:
        row.kept = "kept: jobs that are still to run read them"
        return row
    if of := users(folder, archive):
        row.kept = f"kept: other studies use them: {', '.join(of)}"
        return row
    for job in manifest_names(folder):
        if job.startswith(f"ingest/{archive}/"):
            names = [name for name in _outputs(folder, job) if "/shards/" in name]
            row.size += _free(folder, job, names, only_look)
        elif job == f"ranges/{archive}":
            row.size += _free(folder, job, [index], only_look)
    return row


def _states(study: Path, trains: bool, only_look: bool) -> Freed:
    """Checkpoints, and second copies of encoders: these become links to the first."""
    row = Freed("training states")
    if trains:
        row.kept = "kept: trainings are still to run"
        return row
    encoders = {
        file.digest: study / name
        for job in manifest_names(study)
        if job.startswith("encoders/")
        for name, file in _stated(study, job)
        if name.endswith("/encoder.safetensors")
    }
    measured = Provenance(study)
    folders = [each for each in sorted((study / "work").glob("*/")) if _RUN.fullmatch(each.name)]
    for folder in folders:
        copies = list((folder / "finished").rglob("encoder.safetensors"))
        firsts = [encoders.get(measured.digest(copy)) for copy in copies]
        if copies and all(firsts):
            row.size += sum(
                _link(copy, first, only_look)
                for copy, first in zip(copies, firsts, strict=True)
                if first
            )
            others = [each for each in folder.iterdir() if each.name != "finished"]
            row.size += _remove(others, only_look)
        else:
            row.size += _remove([folder], only_look)
    return row


def _staged(study: Study, scratch: str | None, only_look: bool) -> Freed:
    from radscale_lib.shards.staging import staged

    row = Freed("copies on this machine")
    for name in study.archives if scratch else ():
        try:
            folder = staged(study.folder / "data" / name / "shards", Path(scratch or ""))
        except ValueError:
            row.kept = f"none: {scratch} is set on other machines"
            continue
        row.size += _remove([folder], only_look)
    return row


def _stated(study: Path, job: str) -> Iterator[tuple[str, Any]]:
    manifest = Provenance(study).manifest(job)
    if manifest is not None and manifest.state == DONE:
        yield from manifest.outputs.items()


def _outputs(study: Path, job: str) -> list[str]:
    return [name for name, _ in _stated(study, job)]


def _free(study: Path, job: str, names: Iterable[str], only_look: bool) -> int:
    """Free results of a job: first its manifest says so, then they go."""
    files = [study / name for name in names if (study / name).is_file()]
    size = sum(file.stat().st_size for file in files)
    if files and not only_look:
        manifest = Provenance(study).manifest(job)
        assert manifest is not None
        manifest.freed = True
        write_manifest(path_of(study, job), manifest)
        for file in files:
            file.unlink()
    return size


def _link(copy: Path, first: Path, only_look: bool) -> int:
    """Make a file a link to another of the same content."""
    status = copy.stat()
    if not first.is_file() or first.stat().st_ino == status.st_ino:
        return 0
    if not only_look:
        partial = copy.with_name(f".{copy.name}.partial")
        partial.unlink(missing_ok=True)
        try:
            os.link(first, partial)
        except OSError:  # a file system without links, or two of them
            return 0
        partial.replace(copy)
    return status.st_size


def _remove(paths: Iterable[Path], only_look: bool) -> int:
    size = 0
    for path in paths:
        if path.exists():
            size += sum(file.stat().st_size for file in files_of(path) if file.stat().st_nlink == 1)
            if not only_look:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return size
