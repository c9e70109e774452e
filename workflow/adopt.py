"""Write manifests for results that are older than manifests, after all possible checks."""

import json
import shlex
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radscale_lib.files import read_json, write_json
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    DONE,
    UNREAD,
    File,
    Manifest,
    Provenance,
    absolute,
    components_file,
    path_of,
    write_manifest,
)
from radscale_lib.provenance.settings import write_settings
from radscale_lib.provenance.step import measured
from radscale_lib.study.model import Study
from workflow.jobs import makes_encoder, names_of, stage_of
from workflow.plan import Job


class CannotAdoptError(RuntimeError):
    """Results that do not belong to this study, or are damaged."""


NEWER = ("scan", "tables")
"""Stages that older versions lacked, or that made less; later results are adopted without them."""

Check = Callable[[Sequence[Path], Sequence[Path]], Iterable[str]]
"""Finds what is wrong with the inputs and outputs of a job."""


@dataclass(frozen=True)
class Adopted:
    """The outcome of adopting a study's results.

    Attributes:
        manifests: names of the manifests written.
        first: jobs whose results are missing although adopted results depend on them: they must be
            run separately first, one list after another.
    """

    manifests: list[str]
    first: list[list[Job]]


def adopt(study: Study, jobs: Iterable[Job], records: Path, check: Check) -> Adopted:
    """Write manifests for the results of a study that have none.

    The settings that Snakemake recorded for a result must be those of the study, and the check must
    find nothing. Results that were never made are left to be made, and so are jobs that lack a
    result or an input, unless they train. The caller vouches that the present code would make the
    same results.

    Args:
        study: the study.
        jobs: all its jobs, each after those it waits for.
        records: Snakemake's folder `.snakemake` where the study ran.
        check: the check of each job's files.

    Raises:
        CannotAdoptError: naming all contradictions; then no manifest is written.
    """
    problems: list[str] = []
    found: list[tuple[str, Job, dict[str, Any]]] = []
    jobs, left = list(jobs), set[int]()
    newer = {path for job in jobs if stage_of(job.rule) in NEWER for path in job.outputs}
    provenance = Provenance(study.folder)
    for job in jobs:
        name = job_of(provenance.name_of(job.outputs[0]) or "")
        there = [path for path in job.outputs if path.exists()]
        if name is None or path_of(study.folder, name).exists():
            continue
        lost = [path for path in job.outputs if path not in there]
        lost += [path for path in job.inputs if not path.exists() and path not in newer]
        if lost and not (there and makes_encoder(job.rule)):
            left.add(job.number)
            continue
        known, wrong = _recorded(study, job, records)
        problems += [f"{path}: missing, and {there[0]} is there: delete that" for path in lost]
        problems += [*wrong, *check([path for path in job.inputs if path.exists()], there)]
        found.append((name, job, known))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise CannotAdoptError(f"{study.folder}: nothing is adopted:\n{listed}")
    settings = write_settings(study).stem
    manifests = [(name, _manifest(study, job, known, settings)) for name, job, known in found]
    for name, manifest in manifests:
        write_manifest(path_of(study.folder, name), manifest)
    return Adopted([name for name, _ in manifests], _first(jobs, left))


def _manifest(study: Study, job: Job, known: dict[str, Any], settings: str) -> Manifest:
    stage, names = stage_of(job.rule), names_of(job.rule, job.wildcards)
    parts = components(study, stage, **names)
    id, provenance = stage_id(parts), Provenance(study.folder)
    inputs = provenance.now(filter(Path.exists, job.inputs), {})
    for path in job.inputs:
        if not path.exists():  # of one of the newer stages
            inputs[provenance.name_of(path) or str(absolute(path))] = File(0, UNREAD)
    manifest = Manifest(stage, names, id, job.command, settings, DONE, inputs)
    manifest.outputs = measured(provenance, job.outputs)
    manifest.adopted = {"date": time.strftime("%Y-%m-%d"), **known}
    write_json(components_file(study.folder, id), parts)
    return manifest


def _first(jobs: Sequence[Job], left: Set[int]) -> list[list[Job]]:
    """The remaining jobs on which others depend, in the order in which they must run."""
    depth = dict[int, int]()
    for job in jobs:
        depth[job.number] = max((depth[n] for n in job.after), default=0) + (job.number in left)
    awaited = set[int]()
    for job in reversed(jobs):
        if job.number not in left or job.number in awaited:
            awaited |= set(job.after)
    first = [job for job in jobs if job.number in left & awaited]
    depths = sorted({depth[job.number] for job in first})
    return [[job for job in first if depth[job.number] == each] for each in depths]


def advice(adopted: Adopted, study_file: Path) -> str:
    """The commands to run first after adopting."""
    lines = [
        "Results of jobs that today's version has are missing, and others read them. Make them "
        "first, one call after another; in one call, all that depends on them would be made again:"
    ]
    for jobs in adopted.first:
        missing = [next(str(path) for path in job.outputs if not path.exists()) for job in jobs]
        options = ["snakemake", "--configfile", str(study_file), "--", *missing]
        lines.append(f"    {shlex.join(options)}")
    return "\n".join(lines)


def _recorded(study: Study, job: Job, records: Path) -> tuple[dict[str, Any], list[str]]:
    """What Snakemake recorded about a job's settings, and what contradicts the study."""
    for output in job.outputs:
        for former in _former_ids(records, output):
            file = study.folder / "ids" / f"{former}.json"
            if not file.exists():
                continue
            names = names_of(job.rule, job.wildcards)
            now = components(study, stage_of(job.rule), **names)["study"]
            before: Mapping[str, str] = read_json(file)["study"]
            wrong = [
                f"{output}: made with {key} {before[key]}, the study has {now[key]}"
                for key in sorted(before.keys() & now.keys())
                if before[key] != now[key] and now[key] != '"given"'
            ]
            return {"settings": "as recorded by Snakemake", "former_id": former}, wrong
    return {"settings": "unknown"}, []


def _former_ids(records: Path, output: Path) -> Iterator[str]:
    """Stage ids among the parameters that Snakemake recorded for a file."""
    name = urlsafe_b64encode(str(output).encode()).decode()
    parts = [name[i : i + 254] for i in range(0, len(name), 254)]
    path = records.joinpath("metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])
    try:
        params = json.loads(path.read_text()).get("params") or []
    except (OSError, ValueError, AttributeError):
        return
    yield from (text.strip("'\"") for text in map(str, params))
