"""Accept existing results after a change that the user judges harmless."""

from collections.abc import Iterable
from pathlib import Path

from radscale_lib.files import read_json, write_json
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    DONE,
    Manifest,
    Provenance,
    components_file,
    path_of,
    read_manifest,
    write_manifest,
)
from radscale_lib.provenance.settings import write_settings
from radscale_lib.study.model import Study
from radscale_lib.tasks.kept import FOLDER, Kept
from workflow.differences import changed_inputs, differences
from workflow.jobs import names_of, run_of, stage_of
from workflow.plan import Job


class NothingToAcceptError(RuntimeError):
    """There are no results to accept."""


def accept(study: Study, jobs: Iterable[Job], reason: str) -> list[str]:
    """Record in manifests that results still hold despite changed settings, code or inputs.

    Args:
        study: the study.
        jobs: the jobs that would run, each after those it waits for.
        reason: why the results still hold.

    Returns:
        Names of the manifests that were changed.

    Raises:
        NothingToAcceptError: if no job is planned, or if the results of one do not exist, were
            never completed, or have no manifest.
    """
    found = [(job, *_manifest(study.folder, job)) for job in jobs]
    if not found:
        raise NothingToAcceptError("nothing is outdated, so there is nothing to accept")
    absent = sorted({job.rule for job, _, manifest in found if manifest is None})
    if absent:
        raise NothingToAcceptError(
            f"results of {', '.join(absent)} do not exist, or were made by unknown settings: run "
            "snakemake, name other targets, or adopt them (scripts/adopt.py)"
        )
    settings = write_settings(study).stem
    accepted = []
    for job, name, manifest in found:
        assert manifest is not None
        if _accept(study, job, manifest, reason):
            manifest.settings = settings
            write_manifest(path_of(study.folder, name), manifest)
            accepted.append(name)
    return accepted


def _manifest(folder: Path, job: Job) -> tuple[str, Manifest | None]:
    name = job_of(Provenance(folder).name_of(job.outputs[0]) or "")
    assert name is not None
    manifest = read_manifest(path_of(folder, name))
    if manifest is None or manifest.state != DONE:
        return name, None
    return name, manifest if all((folder / each).is_file() for each in manifest.outputs) else None


def _accept(study: Study, job: Job, manifest: Manifest, reason: str) -> bool:
    """Update a manifest to the present state; return whether there was anything to accept."""
    parts = components(study, manifest.stage, **names_of(job.rule, job.wildcards))
    now, before = stage_id(parts), components_file(study.folder, manifest.id)
    inputs = Provenance(study.folder).now(job.inputs, manifest.inputs)
    changed = [*changed_inputs(manifest.inputs, inputs)]
    if manifest.id != now:
        known = read_json(before) if before.exists() else None
        changed += differences(known, parts) if known else ["settings or code"]
    if manifest.command != job.command:
        changed.append("the rule's command")
    if not changed:
        return False
    manifest.accepted.append({"reason": reason, "changed": changed, "from": manifest.id, "to": now})
    manifest.id, manifest.command, manifest.inputs = now, job.command, inputs
    if manifest.stage == "evaluate":
        _accept_parts(study, job.wildcards["arm"], run_of(job.wildcards).path)
    assert manifest.stage == stage_of(job.rule)
    write_json(components_file(study.folder, now), parts)
    return True


def _accept_parts(study: Study, arm: str, run: str) -> None:
    """Accept the kept parts of an evaluation too, so that its next job does not redo them all."""
    kept = Kept(study.folder / "work" / FOLDER / run)
    for name in kept.parts():
        task, _, part = name.partition(".")
        if name.partition("@")[0] == "features":
            parts = components(study, "features", arm=arm)
        elif task in study.evaluation.tasks and part in study.evaluation.tasks[task].parts:
            parts = components(study, "head", task=task, part=part, arm=arm)
        else:
            continue  # of a task or head that the study no longer has
        kept.restate(name, stage_id(parts))
