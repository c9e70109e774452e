"""Free disk space by removing what can be made again, while the study stays current.

The manifest of a job whose results are freed stays and says so. The results count as existing, with
the content it records, until a job to run reads them: then they are made again. A study is
therefore as current after as before.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radscale_lib.planning.disk import size_text
from radscale_lib.provenance.digests import files_of
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    DONE,
    File,
    Provenance,
    manifest_names,
    path_of,
    write_manifest,
)
from radscale_lib.study.model import Study
from radscale_lib.tasks.kept import FOLDER, link
from workflow.jobs import makes_encoder
from workflow.sharing import users

_RUN = re.compile("[0-9a-f]{32}")
"""Folder of a run's training state; other folders below `work/` hold results that cost money."""


@dataclass
class Freed:
    """Files of one kind that were freed, or would be.

    Attributes:
        what: the kind, in words.
        size: bytes.
        kept: why nothing of this kind is freed; empty if it is.
    """

    what: str
    size: int = 0
    kept: str = ""


def slim(study: Study, dag: Any, scratch: str | None, *, shards: bool, only_look: bool) -> str:
    """Free what can be made again, except what jobs still to run will read.

    Args:
        study: the study; the caller holds its lock, unless it is read-only.
        dag: Snakemake's, of the jobs that a run would have.
        scratch: the site's node-local folder, from which this machine's copies of shards are freed.
        shards: whether to free the shards too, with their index.
        only_look: whether to report what would be freed without freeing it.

    Returns:
        What was freed, as a table for the terminal.
    """
    planned = list(dag.needrun_jobs())
    read = {str(path) for job in planned for path in job.input}
    trains = any(makes_encoder(job.rule.name) for job in planned)
    rows = [_features(study.folder, planned, only_look), _states(study.folder, trains, only_look)]
    rows.append(_staged(study, scratch, only_look))
    if shards:
        own = [name for name, archive in study.archives.items() if not archive.ingested]
        rows += [_shards(study, name, read, only_look) for name in own]
    lines = [f"{'to be freed' if only_look else 'freed':<28}{'size':>10}"]
    for row in rows:
        lines.append(f"{row.what:<28}{size_text(row.size):>10}  {row.kept}".rstrip())
    lines.append(f"{'all':<28}{size_text(sum(row.size for row in rows)):>10}")
    return "\n".join([*lines, "", "The study is as current as before, as `snakemake plan` shows."])


def _features(study: Path, planned: Sequence[Any], only_look: bool) -> Freed:
    """Features, and the parts that evaluation keeps in order to redo only what changes."""
    row, read = Freed("features"), {str(path) for job in planned for path in job.input}
    if any(job.rule.name == "evaluate_run" for job in planned):
        row.kept = "kept: runs are still to be evaluated"
        return row
    made = {
        job: [name for name in _outputs(study, job) if name.startswith("features/")]
        for job in manifest_names(study)
    }
    free = {job: of for job, of in made.items() if not any(str(study / n) in read for n in of)}
    kept = study / "work" / FOLDER
    row.size = _bytes([*(study / name for of in free.values() for name in of), kept])
    for job, names in free.items():
        _free(study, job, names, only_look)
    _remove([kept], only_look)
    return row


def _shards(study: Study, archive: str, read: Set[str], only_look: bool) -> Freed:
    row, folder = Freed(f"shards of {archive}"), study.folder
    index = f"data/{archive}/ranges.arrow"
    # Jobs that read shards also read their index.
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
    """Checkpoints, and second copies of encoders, which become links to the first."""
    row = Freed("training states")
    if trains:
        row.kept = "kept: trainings are still to run"
        return row
    encoders = {
        file.digest: study / name
        for job in manifest_names(study)
        for name, file in _stated(study, job)
        if name.startswith("encoders/") and name.endswith("/encoder.safetensors")
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


def _stated(study: Path, job: str) -> Iterator[tuple[str, File]]:
    """A job's records of its results; empty if other jobs make them now."""
    manifest = Provenance(study).manifest(job)
    if manifest is not None and manifest.state == DONE:
        yield from ((name, of) for name, of in manifest.outputs.items() if job_of(name) == job)


def _outputs(study: Path, job: str) -> list[str]:
    return [name for name, _ in _stated(study, job)]


def _free(study: Path, job: str, names: Iterable[str], only_look: bool) -> int:
    """Free a job's results, after recording it in the job's manifest."""
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
    """Replace a file by a hard link to another with the same content."""
    size = copy.stat().st_size
    if not first.is_file() or first.samefile(copy):
        return 0
    if not only_look:
        link(first, copy)
    return size


def _remove(paths: Iterable[Path], only_look: bool) -> int:
    paths = [path for path in paths if path.exists()]
    size = _bytes(paths)
    for path in paths if not only_look else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return size


def _bytes(paths: Iterable[Path]) -> int:
    """Size of files, and of all files in folders; hard-linked files count once."""
    found = (file for path in paths if path.exists() for file in files_of(path))
    return sum({(s.st_dev, s.st_ino): s.st_size for s in map(Path.stat, found)}.values())
