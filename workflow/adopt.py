"""Manifests for results from before manifests, after what can be checked has been."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radscale_lib.files import read_json, write_json
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    DONE,
    Manifest,
    Provenance,
    components_file,
    path_of,
    write_manifest,
)
from radscale_lib.provenance.settings import write_settings
from radscale_lib.provenance.step import measured
from radscale_lib.study.model import Study
from workflow.jobs import names_of, stage_of
from workflow.plan import Job


class CannotAdoptError(RuntimeError):
    """Results that are not those of this study, or are damaged."""


Check = Callable[[Sequence[Path], Sequence[Path]], Iterable[str]]
"""What is wrong with the inputs and outputs of a job."""


def adopt(study: Study, jobs: Iterable[Job], records: Path, check: Check) -> list[str]:
    """Write manifests for the results of a study that have none.

    The settings that Snakemake recorded for a result must be those of the study, and the check must
    find nothing. What was never made is left to be made, and so is what was made of other files, or
    beside others, than it would be today. That today's code would make the same results is what the
    caller vouches for.

    Args:
        study: the study.
        jobs: all its jobs, each after those it waits for.
        records: Snakemake's folder of the place where the study ran, `.snakemake`.
        check: of each job's files.

    Returns:
        Names of the manifests written.

    Raises:
        CannotAdoptError: naming everything that contradicts; then no manifest is written.
    """
    problems: list[str] = []
    found: list[tuple[str, Job, dict[str, Any]]] = []
    provenance = Provenance(study.folder)
    for job in jobs:
        name = job_of(provenance.name_of(job.outputs[0]) or "")
        there = [path for path in job.outputs if path.exists()]
        if name is None or not there or path_of(study.folder, name).exists():
            continue
        if not all(path.exists() for path in (*job.inputs, *job.outputs)):
            continue  # of an earlier version, which read or made other files: it is made again
        known, wrong = _recorded(study, job, records)
        problems += [*wrong, *check(job.inputs, there)]
        found.append((name, job, known))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise CannotAdoptError(f"{study.folder}: nothing is adopted:\n{listed}")
    settings = write_settings(study).stem
    for name, job, known in found:
        stage, names = stage_of(job.rule), names_of(job.rule, job.wildcards)
        parts = components(study, stage, **names)
        id, today = stage_id(parts), Provenance(study.folder)
        inputs = today.now(job.inputs, {})
        outputs = measured(today, job.outputs)
        adopted = {"date": time.strftime("%Y-%m-%d"), **known}
        manifest = Manifest(stage, names, id, job.command, settings, DONE, inputs, outputs)
        manifest.adopted = adopted
        write_json(components_file(study.folder, id), parts)
        write_manifest(path_of(study.folder, name), manifest)
    return [name for name, _, _ in found]


def _recorded(study: Study, job: Job, records: Path) -> tuple[dict[str, Any], list[str]]:
    """What Snakemake recorded of a job's settings, and what in it contradicts the study."""
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
