"""Check whether a study's results are still what its jobs wrote."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from radscale_lib.provenance.digests import digest, files_of
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    STARTED,
    File,
    Manifest,
    ManifestError,
    manifest_names,
    path_of,
    read_manifest,
)


@dataclass(frozen=True)
class Problem:
    """A result that is not what a job wrote.

    Attributes:
        file: relative to the study's folder.
        what: what is wrong with it.
        job: name of the job that has to make it again.
    """

    file: str
    what: str
    job: str


def verify(study: Path, threads: int = 1) -> tuple[int, int, list[Problem]]:
    """Read every result of a study, and compare it with its manifest.

    Args:
        study: folder of the study's results.
        threads: number of files read at once.

    Returns:
        Number of results read, their bytes, and the problems, by file.
    """
    manifests, problems = _manifests(study)
    stated = {
        name: (job, file) for job, made in manifests.items() for name, file in made.outputs.items()
    }
    places = {file.digest: name for name, (_, file) in stated.items()}
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda name: _digest(study / name, stated[name][1]), stated)
    for (name, (job, file)), content in zip(stated.items(), found, strict=True):
        if content is None and manifests[job].freed:
            continue
        if content is None:
            problems.append(Problem(name, "missing", job))
        elif content != file.digest:
            other = places.get(content)
            what = f"exchanged: it is {other}" if other else "damaged: not what its job wrote"
            problems.append(Problem(name, what, job))
    problems += _foreign(study, stated)
    size = sum(file.size for _, file in stated.values())
    return len(stated), size, sorted(problems, key=lambda problem: problem.file)


def _manifests(study: Path) -> tuple[dict[str, Manifest], list[Problem]]:
    manifests, problems = {}, []
    for job in manifest_names(study):
        path = path_of(study, job)
        file = path.relative_to(study).as_posix()
        try:
            manifest = read_manifest(path)
        except ManifestError:
            problems.append(Problem(file, "damaged: no manifest", job))
            continue
        assert manifest is not None
        if manifest.state == STARTED:
            problems.append(Problem(file, "its job was interrupted, or is still running", job))
        elif any(job_of(name) != job for name in manifest.outputs):
            problems.append(Problem(file, "foreign: the manifest of another job", job))
        else:
            manifests[job] = manifest
    return manifests, problems


def _digest(path: Path, stated: File) -> str | None:
    """The digest of a file; None if it is missing. A file with a wrong size is not read."""
    try:
        return digest(path) if path.stat().st_size == stated.size else "of another size"
    except OSError:
        return None


def _foreign(study: Path, stated: Iterable[str]) -> Iterator[Problem]:
    """Files among the results that no manifest names."""
    known = set(stated)
    for place in [*(study / name for name in _RESULTS), *study.glob("*.parquet")]:
        for path in files_of(place):
            name = path.relative_to(study).as_posix()
            job = job_of(name)
            if job and name not in known and path.is_file():
                yield Problem(name, "foreign: made by unknown settings", job)


_RESULTS = (
    *("data", "subsets", "encoders", "features", "tasks", "similarity", "figures", "tables"),
    *("exports", "report.html"),
)
"""Folders of results in a study's folder, besides its tables."""
