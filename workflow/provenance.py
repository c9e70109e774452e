"""Answer Snakemake's question whether a job must run from the manifests beside the results.

Snakemake decides by records in `.snakemake` of the working folder, and by time stamps. Neither
survives if results are moved, copied or used from another clone. `install` makes it decide here
instead: a job is current if its manifest says that it finished, with the present stage id and
command, on inputs with their present content, and if its results exist with the size that it wrote.
No record is kept in `.snakemake`; a read-only call does not touch it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32

import snakemake.dag
import snakemake.io
import snakemake.jobs
import snakemake.workflow
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from radscale_lib.files import read_json
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    FOLDER,
    STARTED,
    Manifest,
    ManifestError,
    Provenance,
    components_file,
)
from workflow.differences import Components, changed_inputs, differences

UNKNOWN = "made by unknown settings"
CUT_OFF = "an earlier run was interrupted"


COMMANDS: dict[str, str] = {}
"""Digest of each rule's command."""


def precede_manifests(study: Path) -> bool:
    """Whether a study has expensive results but no manifest."""
    patterns = ("encoders/*/*/*/encoder.safetensors", "data/*/shards/*.parquet")
    return not (study / FOLDER).exists() and any(any(study.glob(each)) for each in patterns)


class Identity:
    """A rule's parameter `id`: for each job its stage id, a dot, and the digest of its command.

    The digest is that of the command in the rule file, before names are filled in, so it is the
    same in every clone.
    """

    def __init__(self, of: Callable[[Any], str]) -> None:
        """`of` gives the stage id from a job's wildcards."""
        self._of = of
        self.rule = ""

    def __call__(self, wildcards: Any) -> str:
        """The value for one job."""
        return f"{self._of(wildcards)}.{COMMANDS[self.rule]}"


def note_commands(rules: Iterable[Any]) -> None:
    """Digest the command of every rule that has an `Identity`, once all rules are read."""
    for rule in rules:
        identity = dict(rule.params.items()).get("id")
        if isinstance(identity, Identity):
            identity.rule = rule.name
            COMMANDS[rule.name] = hashlib.sha256(rule.shellcmd.encode()).hexdigest()[:16]


class Change:
    """Why a job must run, in words; takes the place of Snakemake's change of parameters."""

    def __init__(self, why: str, files: Iterable[Any] = ()) -> None:
        """`why` the job that makes `files` must run; empty if it need not."""
        self._why, self._files = why, list(files)

    def __bool__(self) -> bool:
        return bool(self._why)

    def __str__(self) -> str:
        return self._why

    def __iter__(self) -> Iterator[Any]:
        return iter(self._files)


class Decisions:
    """Decides, once for each job of a study, whether it is current."""

    def __init__(self, study: Path, known: Mapping[str, Components]) -> None:
        """Decide on the results in a study's folder; `known` has components of present ids."""
        self._provenance = Provenance(study)
        self._known = known
        self._made: dict[Any, str] = {}

    def why(self, job: Any) -> str:
        """Why a job must run although its results exist; empty if they are current."""
        if job not in self._made:
            makes = job.output and "id" in dict(job.params.items())
            self._made[job] = self._unless_removed(job) if makes else ""
        return self._made[job]

    def freed(self, job: Any) -> bool:
        """Whether a job's results were removed to save space (`slim`)."""
        return any(self._provenance.is_freed(self._provenance.name_of(Path(p))) for p in job.output)

    def record(self, result: Path) -> MetadataRecord | None:
        """The record of a result's job for Snakemake's own report; None if unknown."""
        name = job_of(self._provenance.name_of(result) or "")
        manifest = self._provenance.manifest(name) if name else None
        if manifest is None or "started" not in manifest.run or "finished" not in manifest.run:
            return None
        began, ended = (
            datetime.fromisoformat(manifest.run[key]).timestamp() for key in ("started", "finished")
        )
        return MetadataRecord(
            rule=manifest.stage, job_hash=crc32(str(name).encode()), starttime=began, endtime=ended
        )

    def _unless_removed(self, job: Any) -> str:
        """Why a job must run, even if a running job removes its results meanwhile.

        Its own manifest may be damaged, or that of a job it depends on.
        """
        try:
            return self._why(job)
        except ManifestError as error:
            return f"{UNKNOWN}: {error}"
        except FileNotFoundError as error:
            return f"{error.filename} is missing"

    def _why(self, job: Any) -> str:
        if not any(Path(path).exists() for path in job.output) and not self.freed(job):
            return ""  # Snakemake knows
        outputs = [self._provenance.name_of(Path(path)) for path in job.output]
        name = job_of(outputs[0] or "")
        manifest = self._provenance.manifest(name) if name else None
        if manifest is None:
            return UNKNOWN
        if manifest.state == STARTED:
            return CUT_OFF
        if missing := self._missing(manifest, outputs):
            return f"{missing} is missing"
        if changed := self._exchanged(manifest):
            return f"{UNKNOWN}: {changed} is not what was written"
        reasons = [*self._id_changes(manifest, job.params.id), *self._input_changes(manifest, job)]
        return ", ".join(reasons)

    def _missing(self, manifest: Manifest, outputs: Iterable[str | None]) -> str | None:
        """A result of the job that is missing, or not in its manifest."""
        unstated = (str(name) for name in outputs if name is None or not self._stated(name))
        names = () if manifest.freed else manifest.outputs
        gone = (name for name in names if not self._file(name).is_file())
        return next(chain(unstated, gone), None)

    def _exchanged(self, manifest: Manifest) -> str | None:
        """A result whose size differs from what the job wrote."""
        files = manifest.outputs.items()
        there = ((n, file) for n, file in files if not manifest.freed or self._file(n).is_file())
        return next((n for n, file in there if self._file(n).stat().st_size != file.size), None)

    def _stated(self, name: str) -> bool:
        return self._provenance.stated(name) is not None

    def _file(self, name: str) -> Path:
        return self._provenance.study / name

    def _id_changes(self, manifest: Manifest, id: str) -> list[str]:
        stage, _, command = id.partition(".")
        if manifest.id != stage:
            file = components_file(self._provenance.study, manifest.id)
            before = read_json(file) if file.exists() else None
            changed = differences(before, self._known[stage]) if before else []
            return ["changed: " + ", ".join(changed)] if changed else ["settings or code changed"]
        return ["the rule's command changed"] if manifest.command != command else []

    def _stands(self, path: Any) -> bool:
        """Whether an input exists, or was freed, so that its manifest stands in for it."""
        return Path(path).exists() or self._provenance.is_freed(
            self._provenance.name_of(Path(path))
        )

    def _input_changes(self, manifest: Manifest, job: Any) -> list[str]:
        ancient = {self._provenance.name_of(Path(path)) for path in job.input if path.is_ancient}
        recorded = {name: of for name, of in manifest.inputs.items() if name not in ancient}
        paths = [Path(path) for path in job.input if not path.is_ancient and self._stands(path)]
        now = self._provenance.now(paths, recorded)
        changed = changed_inputs(recorded, now)
        if len(changed) > 3:
            changed = [*changed[:3], f"and {len(changed) - 3} more"]
        return ["input changed: " + ", ".join(changed)] if changed else []


def _followed(depending: Mapping[Any, Mapping[Any, Iterable[Any]]], job: Any) -> set[Any]:
    """A job to run, and all jobs run for it, which Snakemake does not check themselves.

    Jobs tied to it only by an `ancient` input do not run for it. Snakemake nevertheless treats them
    as such, and does not check whether they must run for another reason.
    """
    found, queue = {job}, [job]
    while queue:
        for after, files in depending[queue.pop()].items():
            if after not in found and not all(file.is_ancient for file in files):
                found.add(after)
                queue.append(after)
    return found


async def _remake(dag: Any, freed: set[Any]) -> None:
    """Schedule freed results that jobs to run will read, and in turn what their jobs read.

    This causes no further jobs, since the results will be the same.
    """
    queue = list(dag._needrun)
    while queue:
        job = queue.pop()
        for maker, files in dag._dependencies[job].items():
            if maker in freed and maker not in dag._needrun:
                missing = [file async for file in maker.missing_output(files)]
                if missing:
                    dag.reason(maker).missing_output.update(missing)
                    dag._needrun.add(maker)
                    queue.append(maker)
    for job in dag._needrun:
        makers = dag._dependencies[job]
        dag._n_until_ready[job] = sum(1 for maker in makers if maker in dag._needrun)
    dag._len = len(dag._finished | dag._needrun)


def install(
    workflow: Any, study: Path, known: Mapping[str, Components], looks: Callable[[], bool]
) -> None:
    """Let Snakemake decide by the manifests of a study.

    Args:
        workflow: Snakemake's workflow.
        study: folder of the study's results.
        known: components of stage ids, filled as ids are computed.
        looks: whether this call of snakemake is read-only, so that `.snakemake` is left alone.
    """

    class Persistence(FilePersistence):  # type: ignore[misc]  # of a library without types
        """Answers from the manifests; keeps only locks and conda environments in `.snakemake`."""

        def __init__(self, *, path: Path | None = None, **settings: Any) -> None:
            scratch = Path(workflow.snakemake_tmp_dir, "persistence")
            alone = looks() and not workflow.deployment_settings.deployment_method
            super().__init__(path=scratch if alone else path, **settings)
            self.decisions = Decisions(study, known)  # the state when this DAG is built

        def has_metadata(self, job: Any) -> bool:
            return True

        def has_outdated_metadata(self, job: Any) -> bool:
            return False

        def params_changed(self, job: Any, file: Any = None) -> Change:
            return Change(self.decisions.why(job), job.output)

        def input_changed(self, job: Any, file: Any = None) -> Any:
            return False if file else ()

        code_changed = software_stack_changed = input_changed

        def metadata(self, target: Any) -> MetadataRecord | None:
            return self.decisions.record(Path(target))

        def started(self, job: Any, external_jobid: str | None = None) -> None:
            pass

        async def finished(self, job: Any) -> None:
            pass

        async def incomplete(self, job: Any) -> list[Any]:
            return []

        def external_jobids(self, job: Any) -> list[str]:
            return []

        def cleanup(self, job: Any) -> None:
            pass

    async def unknown(job: Any) -> None:
        """Ignore time stamps: results have no known creation time."""

    async def unread(cache: Any, jobs: Any, n_workers: int = 8) -> None:
        """Skip time stamps: a file replaced by a running job would abort a read-only call."""

    async def update_needrun(dag: Any, *args: Any, **options: Any) -> None:
        dag.bfs = _followed
        # Freed results count as existing unless requested by name.
        decisions = dag.workflow.persistence.decisions
        freed = {job for job in dag.jobs if decisions.freed(job) and job not in dag.targetjobs}

        async def missing_output(job: Any, requested: Any) -> Any:
            if job not in freed:
                async for file in missing(job, requested):
                    yield file

        snakemake.jobs.Job.missing_output = missing_output
        try:
            await decide(dag, *args, **options)
        finally:
            del dag.bfs
            snakemake.jobs.Job.missing_output = missing
        if freed:
            await _remake(dag, freed)

    decide = snakemake.dag.DAG.update_needrun
    missing = snakemake.jobs.Job.missing_output
    snakemake.dag.DAG.update_needrun = update_needrun
    snakemake.workflow.FilePersistence = Persistence
    snakemake.jobs.Job.output_mintime = property(unknown)
    snakemake.io.IOCache.mtime_inventory = unread
