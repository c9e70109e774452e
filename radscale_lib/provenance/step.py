"""A step of the workflow: its study, its inputs and outputs, and the manifest it writes."""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from radscale_lib.files import write_json
from radscale_lib.places import LIBRARY
from radscale_lib.planning.code import recall
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.digests import files_of
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    DONE,
    STARTED,
    File,
    Files,
    Manifest,
    ManifestError,
    Provenance,
    code_file,
    components_file,
    packages_file,
    path_of,
    read_manifest,
    write_manifest,
)
from radscale_lib.provenance.settings import are_settings, read_settings
from radscale_lib.shards.errors import ShardError
from radscale_lib.study import StudyError, load_study
from radscale_lib.study.model import Study

_LIBRARIES = (
    *("matplotlib", "numpy", "open_clip", "polars", "pyarrow", "pydicom", "scipy", "sklearn"),
    *("timm", "torch", "transformers"),
)


class InputError(ValueError):
    """An input that a step cannot use; the message names it and says what to do."""


def add_options(parser: argparse._ActionsContainer, required: bool = True) -> None:
    """Add the options of every step: `--study` and `--id`."""
    parser.add_argument("--study", type=Path, required=required, help="study file")
    parser.add_argument("--id", help="stage id, checked against the settings of a workflow's run")


def study_of(args: argparse.Namespace) -> Study:
    """The study of a step: a study file, or settings written by the workflow.

    Raises:
        SystemExit: if it cannot be used; the reason is printed.
    """
    try:
        return read_settings(args.study) if are_settings(args.study) else load_study(args.study)
    except StudyError as error:
        _refuse(error)


@contextmanager
def step(
    args: argparse.Namespace,
    study: Study,
    stage: str,
    reads: Iterable[Path | None],
    makes: Iterable[Path],
    large: Iterable[Path] = (),
    **names: str,
) -> Iterator[str]:
    """Yield a step's stage id; for the workflow, record what the block makes in a manifest.

    With a plain study file, as in a script run by hand, nothing is checked and no manifest is
    written.

    Args:
        args: with `study` and `id` from `add_options`.
        study: see `study_of`.
        stage: a key of `planning.stages.STAGES`.
        reads: files and folders that the step reads; those made by other jobs are compared with
            these jobs' records. None for inputs not given.
        makes: files and folders that it makes.
        large: further inputs, too large to be read twice: only sizes are compared here. The step
            verifies their content while reading.
        **names: the `archive`, `arm`, `task` or `source` on which the stage's slice of the study
            depends.

    Raises:
        SystemExit: if the study has no such archive, arm or task, if the settings and code do not
            match `--id`, or if an input is not what its job made, whether found here or in the
            block; the reason is printed.
    """
    try:
        _check_names(study, names)
        if are_settings(args.study):
            recall(code_file(args.study.parent.parent))
        parts = components(study, stage, **names)
        if not are_settings(args.study):
            yield args.id or stage_id(parts)
            return
        record = _Record.begin(args, stage, names, parts, reads, large, makes)
        yield stage_id(parts)
        if record:
            record.end()
    except (InputError, ManifestError, ShardError) as error:
        _refuse(error)


def add_archive(parser: argparse._ActionsContainer) -> None:
    """Add the option of steps that run for the institution or for a test archive."""
    parser.add_argument("--archive", help="the test archive that the scores are on (institution)")


@contextmanager
def step_at(
    args: argparse.Namespace,
    study: Study,
    stage: str,
    reads: Iterable[Path | None],
    makes: Iterable[Path],
) -> Iterator[Study]:
    """A step on the institution's scores or, with `--archive`, on those of a test archive.

    Args:
        args: with `study`, `id` and `archive`.
        study: see `study_of`.
        stage: the institution's stage; that of test archives is called `<stage>_elsewhere`.
        reads: as for `step`.
        makes: as for `step`.

    Yields:
        The study, as seen from the archive.

    Raises:
        SystemExit: as for `step`; also if the study has no such test archive.
    """
    if args.archive is None:
        with step(args, study, stage, reads, makes):
            yield study
        return
    if args.archive not in study.test_archives:
        known = ", ".join(study.test_archives) or "none"
        _refuse(
            InputError(f"{args.archive}: no test archive of study {study.name}: it has {known}")
        )
    with step(args, study, f"{stage}_elsewhere", reads, makes, archive=args.archive):
        yield study.seen_from(args.archive)


def _check_names(study: Study, names: Mapping[str, str]) -> None:
    known: dict[str, Iterable[str]] = {
        "archive": study.archives,
        "arm": list(dict.fromkeys(run.arm for run in study.runs)),
        "task": study.evaluation.tasks,
        "source": study.labels.readers,
    }
    for kind, name in names.items():
        if name not in known[kind]:
            raise InputError(
                f"{name}: no {kind} of study {study.name}: use one of {', '.join(known[kind])}"
            )


def _refuse(error: Exception) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(1)


class _Record:
    """The manifest of a running step."""

    def __init__(self, study: Path, job: str, manifest: Manifest, makes: list[Path]) -> None:
        self._provenance = Provenance(study)
        self._path = path_of(study, job)
        self._manifest = manifest
        self._makes = makes

    @classmethod
    def begin(
        cls,
        args: argparse.Namespace,
        stage: str,
        names: dict[str, str],
        parts: dict[str, dict[str, str]],
        reads: Iterable[Path | None],
        large: Iterable[Path],
        makes: Iterable[Path],
    ) -> "_Record | None":
        """Check settings and inputs, and record that the results are being made."""
        own, _, command = (args.id or "").partition(".")
        now = stage_id(parts)
        if own and own != now:
            raise InputError(
                f"{args.study}: these settings and this code give the id {now} at stage {stage}, "
                f"the job has {own}: the code changed since the run started: start it again"
            )
        folder = args.study.parent.parent
        makes = list(makes)
        provenance = Provenance(folder)
        if int(os.environ.get("RANK", 0)) or (name := provenance.name_of(makes[0])) is None:
            return None  # one of several processes, or results outside the study
        job = job_of(name)
        if job is None:
            raise InputError(
                f"{makes[0]}: no job writes its result there: see docs/reference/data-contracts.md"
            )
        inputs = checked(provenance, [path for path in reads if path], list(large))
        manifest = Manifest(
            stage, names, now, command, args.study.stem, STARTED, inputs, run={"started": _clock()}
        )
        if not (known := components_file(folder, now)).exists():
            write_json(known, parts, shared=True)  # shared by all jobs with this id
        record = cls(folder, job, manifest, makes)
        if not record._remakes():
            write_manifest(record._path, manifest)
        return record

    def _remakes(self) -> bool:
        """Whether freed results are made again as before: until then nothing changes."""
        before = read_manifest(self._path)
        return (
            before is not None
            and before.freed
            and (before.id, before.command) == (self._manifest.id, self._manifest.command)
            and {name: file.digest for name, file in before.inputs.items()}
            == {name: file.digest for name, file in self._manifest.inputs.items()}
        )

    def end(self) -> None:
        """Digest the results, and record that the step is done."""
        self._manifest.outputs = measured(self._provenance, self._makes)
        self._manifest.run |= {"finished": _clock(), **_software(self._provenance.study)}
        self._manifest.state = DONE
        write_manifest(self._path, self._manifest)


def restate(study: Path, job: str, makes: Iterable[Path]) -> None:
    """Update the record of a job's results after the workflow itself changed them."""
    manifest = read_manifest(path_of(study, job))
    if manifest is None or manifest.state != DONE:
        return
    outputs = measured(Provenance(study), makes)
    if outputs != manifest.outputs:
        manifest.outputs = outputs
        manifest.run["restated"] = _clock()
        write_manifest(path_of(study, job), manifest)


def measured(provenance: Provenance, makes: Iterable[Path]) -> Files:
    """Size and digest of results, by name."""
    files: Files = {}
    for path in makes:
        for file in files_of(path):
            name = provenance.name_of(file)
            if name is None:
                raise InputError(f"{file}: outside of {provenance.study}")
            files[name] = File(file.stat().st_size, provenance.digest(file))
    return files


def checked(provenance: Provenance, reads: Iterable[Path], large: Iterable[Path] = ()) -> Files:
    """Inputs with their digests, compared with the records of the jobs that made them.

    Args:
        provenance: manifests of the study.
        reads: files and folders whose content is compared.
        large: those whose size alone is compared.

    Raises:
        InputError: naming an input that is not what its job made.
    """
    files: Files = {}
    for path, whole in [*((path, True) for path in reads), *((path, False) for path in large)]:
        name = provenance.name_of(path)
        stated = provenance.stated(name) if name else provenance.stated_elsewhere(path)
        if stated is None:
            files |= provenance.now([path], {})
            continue
        for each, file in stated.items():
            _compare(provenance, path if each == name else provenance.study / each, file, whole)
        files |= stated
    return files


def _compare(provenance: Provenance, path: Path, stated: File, whole: bool) -> None:
    try:
        same = path.stat().st_size == stated.size
        same = same and (not whole or provenance.digest(path) == stated.digest)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}): run snakemake again"
        ) from None
    if not same:
        raise InputError(
            f"{path}: damaged or exchanged: it is not what its job wrote, by the manifest. Delete "
            "it, and run snakemake again; `snakemake verify` looks for others"
        )


def _clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _software(study: Path) -> dict[str, Any]:
    """Commit of the code's checkout, versions of the libraries in use, and a list of packages.

    The list of all installed packages is a separate file, shared by jobs of the same environment;
    the manifest has its digest.
    """
    versions = {
        name: str(sys.modules[name].__version__)
        for name in _LIBRARIES
        if hasattr(sys.modules.get(name), "__version__")
    }
    packages = installed()
    key = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:16]
    if not (known := packages_file(study, key)).exists():
        write_json(known, packages, shared=True)
    commit = _commit()
    return {"versions": versions, "packages": key} | ({"commit": commit} if commit else {})


def installed() -> list[str]:
    """Every installed package as `name version`, sorted, from the names of their folders.

    Metadata is not read, since that would take a tenth of a second per job.
    """
    folders = (Path(place) for place in sys.path if place)
    found = {path.stem for folder in folders for path in folder.glob("*.dist-info")}
    names = (stem.rpartition("-") for stem in found if "-" in stem)
    return sorted({f"{name.replace('_', '-').lower()} {version}" for name, _, version in names})


def _commit() -> str | None:
    if not (LIBRARY / ".git").exists():
        return None
    command = ["git", "-C", str(LIBRARY), "rev-parse", "HEAD"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return said.stdout.strip() if said.returncode == 0 else None
