"""Manifests: what a job read and made, and with which settings and code.

There is one JSON file per job, `provenance/<job>.json` in the folder of the study's results, which
the job itself writes: `state` is `started` from before the first result is replaced until after the
last one is written, then `done`. Paths in it are relative to the study's folder, so that the folder
can be moved, copied and mounted; files from elsewhere have absolute paths.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from radscale_lib.files import read_json, write_json
from radscale_lib.provenance.digests import digest, files_of
from radscale_lib.provenance.layout import job_of

FOLDER = "provenance"
"""Folder of the manifests, in the folder of the study's results."""
STARTED, DONE = "started", "done"
VERSION = 1
UNREAD = ""
"""Digest of an input about which nothing is known."""


@dataclass(frozen=True)
class File:
    """A file that a job read or made.

    Attributes:
        size: bytes.
        digest: see `digests.digest`; empty for a missing input of adopted results.
        mtime_ns: time stamp of a file outside the study's folder, which shows without reading it
            that it is unchanged; None for a result.
    """

    size: int
    digest: str
    mtime_ns: int | None = None


Files = dict[str, File]


@dataclass
class Manifest:
    """The record of a job's results.

    Attributes:
        stage: a key of `planning.stages.STAGES`.
        names: what the stage's slice of the study depends on: `archive`, `arm` or `task`.
        id: the stage id; its components are in `provenance/ids/<id>.json`.
        command: digest of the workflow's command; empty for a job run by hand.
        settings: digest of the settings.
        state: `STARTED` or `DONE`.
        inputs: what was read, by path.
        outputs: what was made, by path.
        run: start and end of the job, commit of the code, versions of libraries, and the digest of
            the list of installed packages (`packages_file`).
        accepted: changes accepted since, each with its reason.
        adopted: for results from before manifests, what is known about how they were made.
        freed: whether results were removed to save space: until something reads them, this record
            stands in for them.
    """

    stage: str
    names: dict[str, str]
    id: str
    command: str
    settings: str
    state: str
    inputs: Files = field(default_factory=dict)
    outputs: Files = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    accepted: list[dict[str, Any]] = field(default_factory=list)
    adopted: dict[str, Any] | None = None
    freed: bool = False


class ManifestError(ValueError):
    """A manifest that cannot be read."""


def path_of(study: Path, job: str) -> Path:
    """The manifest of a job, by its name (`layout.job_of`), in a study's folder."""
    return study / FOLDER / f"{job}.json"


def components_file(study: Path, stage_id: str) -> Path:
    """The file with the components of a stage id."""
    return study / FOLDER / "ids" / f"{stage_id}.json"


def packages_file(study: Path, key: str) -> Path:
    """The file that lists an environment's installed packages, by digest."""
    return study / FOLDER / "ids" / f"packages-{key}.json"


def code_file(study: Path) -> Path:
    """The file that keeps digests of code from one job to the next."""
    return study / FOLDER / "ids" / "code.txt"


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest atomically."""
    write_json(path, {"version": VERSION} | asdict(manifest))


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None if there is none.

    Raises:
        ManifestError: if it cannot be read.
    """
    try:
        values = read_json(path)
        if values.pop("version") != VERSION:
            raise ManifestError(f"{path}: made by another version of radscale: use that version")
        for side in ("inputs", "outputs"):
            values[side] = {name: File(**of) for name, of in values[side].items()}
        return Manifest(**values)
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ManifestError):
            raise
        raise ManifestError(f"{path}: damaged: delete it, and run again") from None


def manifest_names(study: Path) -> list[str]:
    """Names of all jobs of a study's folder that have a manifest, in order."""
    folder = study / FOLDER
    found = (path.relative_to(folder).with_suffix("").as_posix() for path in files_of(folder))
    return sorted(name for name in found if not name.startswith("ids/"))


def absolute(path: Path) -> Path:
    """An absolute path without `..`; links stay, since a study is named by the path to it."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


class Provenance:
    """The manifests of one study's folder, each read once, on demand."""

    def __init__(self, study: Path) -> None:
        self.study = study
        self._root = absolute(study)
        self.manifest = cache(self._manifest)
        self.digest = cache(digest)
        self._study_at = cache(Provenance)

    def name_of(self, path: Path) -> str | None:
        """A path relative to the study's folder, with slashes; None for one outside."""
        whole = absolute(path)
        if whole.is_relative_to(self._root):
            return whole.relative_to(self._root).as_posix()
        real, root = path.resolve(), self._root.resolve()
        return real.relative_to(root).as_posix() if real.is_relative_to(root) else None

    def _manifest(self, job: str) -> Manifest | None:
        return read_manifest(path_of(self.study, job))

    def stated(self, result: str) -> Files | None:
        """The records of a result, or of a folder of results, by the jobs that made it.

        Returns:
            Files by name; None if no finished job of this study made it.
        """
        job = job_of(result)
        manifest = self.manifest(job) if job else None
        if manifest is None or manifest.state != DONE:
            return None
        found = {
            name: file
            for name, file in manifest.outputs.items()
            if name == result or name.startswith(f"{result}/")
        }
        return found or None

    def is_freed(self, result: str | None) -> bool:
        """Whether a result, by its name from `name_of`, was removed and can be made again."""
        job = job_of(result) if result else None
        manifest = self.manifest(job) if job else None
        return manifest is not None and manifest.freed

    def stated_elsewhere(self, path: Path) -> Files | None:
        """The records, by a job of another study, of a result outside this study's folder.

        Returns:
            Files by absolute path; None if no finished job of any study made it.
        """
        whole = absolute(path)
        for folder in whole.parents:
            if (folder / FOLDER).is_dir():
                found = self._study_at(folder).stated(whole.relative_to(folder).as_posix())
                if found is not None:
                    return {str(folder / name): file for name, file in found.items()}
        return None

    def now(self, paths: Iterable[Path], recorded: Mapping[str, File]) -> Files:
        """Inputs as they are now: results by their jobs' records, others by content.

        Args:
            paths: files and folders.
            recorded: their former records: a file with the same size and time stamp is not read
                again.
        """
        files: Files = {}
        for path in paths:
            name = self.name_of(path)
            stated = self.stated(name) if name else self.stated_elsewhere(path)
            files |= stated if stated is not None else self._measured(path, name, recorded)
        return files

    def _measured(self, path: Path, name: str | None, recorded: Mapping[str, File]) -> Files:
        files: Files = {}
        for file in files_of(path):
            own = (name and self.name_of(file)) or str(absolute(file))
            status, known = file.stat(), recorded.get(own)
            stamp = (status.st_size, status.st_mtime_ns)
            same = known is not None and stamp == (known.size, known.mtime_ns)
            content = known.digest if known is not None and same else self.digest(file)
            files[own] = File(status.st_size, content, status.st_mtime_ns)
        return files
