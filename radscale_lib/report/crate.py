"""The RO-Crate of a released study: its files, and the jobs that made them.

A Process Run Crate (https://w3id.org/ro/wfrun/process/0.5): one `ro-crate-metadata.json` beside the
files, for repositories and other programs. Its dates are those of the jobs, so that the same
results give the same bytes.
"""

import mimetypes
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.model.softwareapplication import SoftwareApplication
from rocrate.rocrate import ROCrate

from radscale_lib.files import write_json
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import DONE, Manifest, Provenance
from radscale_lib.study import Study

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
PAPER = "https://arxiv.org/abs/2509.12818"
UNSTATED = "Not stated: the institution decides who may use these files."
TYPES = {".parquet": "application/vnd.apache.parquet", ".safetensors": "application/octet-stream"}
"""Media types unknown to Python."""


def write_crate(
    study: Study,
    folder: Path,
    files: Sequence[Path],
    license: str | None = None,
    author: str | None = None,
) -> None:
    """Write the crate's metadata into a folder of released files.

    Args:
        study: the study.
        folder: holds the files.
        files: relative to the folder, with the same paths as below the study's folder.
        license: address of the licence of the files; None if it is not stated.
        author: name of the institution; None if it is not stated.
    """
    crate = ROCrate(gen_preview=False, version="1.1")
    jobs = _jobs(study, files)
    crate.name = f"Results of the radscale study {study.name}"
    films = "simulated chest X-rays" if study.institution.phantom else "chest X-rays"
    crate.description = (
        "Scores, scaling laws, verdicts, figures, encoders and report of a data-scaling study of "
        f"radiology foundation models on {films}."
    )
    crate.license = license or _add(crate, "#license", "CreativeWork", name=UNSTATED)
    if author:
        crate.root_dataset["author"] = _add(crate, "#author", "Organization", name=author)
        crate.root_dataset["publisher"] = crate.root_dataset["author"]
    ends = [time for job in jobs.values() if (time := _time(job, "finished"))]
    if ends:
        crate.datePublished = datetime.fromisoformat(max(ends))
    crate.root_dataset["conformsTo"] = _add(
        crate, PROFILE, "CreativeWork", name="Process Run Crate", version="0.5"
    )
    crate.root_dataset["citation"] = _add(
        crate,
        PAPER,
        "ScholarlyArticle",
        name="Data Scaling Laws for Radiology Foundation Models",
    )
    entities = {path.as_posix(): _add_file(crate, folder, path) for path in files}
    for name, job in jobs.items():
        _add_job(crate, name, job, entities, author is not None)
    write_json(folder / METADATA, crate.metadata.generate())


def _jobs(study: Study, files: Sequence[Path]) -> dict[str, Manifest]:
    """The finished jobs that made the files, in order of name."""
    provenance = Provenance(study.folder)
    names = sorted({name for path in files if (name := job_of(path.as_posix()))})
    manifests = {name: provenance.manifest(name) for name in names}
    return {name: job for name, job in manifests.items() if job and job.state == DONE}


def _add(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Entity:
    return crate.add(ContextEntity(crate, identifier, {"@type": kind, **properties}))


def _add_file(crate: ROCrate, folder: Path, path: Path) -> Entity:
    about = {"name": path.as_posix(), "contentSize": str((folder / path).stat().st_size)}
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    if kind:
        about["encodingFormat"] = kind
    return crate.add_file(folder / path, dest_path=path.as_posix(), properties=about)


def _add_job(
    crate: ROCrate, name: str, job: Manifest, files: dict[str, Entity], has_author: bool
) -> None:
    """The action of a job: its time and code, and which of the files it read and made."""
    action: dict[str, Any] = {
        "name": name,
        "description": f"Stage {job.stage}, stage id {job.id}",
        "instrument": _software(crate, job),
        "object": _one_or_more([files[each] for each in job.inputs if each in files]),
        "result": _one_or_more([files[each] for each in job.outputs if each in files]),
        "startTime": _time(job, "started"),
        "endTime": _time(job, "finished"),
        "agent": crate.dereference("#author") if has_author else None,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    known = {key: value for key, value in action.items() if value is not None}
    crate.root_dataset.append_to("mentions", _add(crate, f"#{name}", "CreateAction", **known))


def _software(crate: ROCrate, job: Manifest) -> Entity:
    """Radscale as it was when the job ran: the commit, where there was a checkout."""
    commit = job.run.get("commit")
    code = f"#radscale-{commit or version('radscale')}"
    about = {
        "name": "radscale",
        "softwareVersion": commit or version("radscale"),
        "license": "https://spdx.org/licenses/Apache-2.0",
    }
    return crate.dereference(code) or crate.add(SoftwareApplication(crate, code, about))


def _one_or_more(entities: list[Entity]) -> Entity | list[Entity] | None:
    """A list, or a single value, which RO-Crate 1.1 wants outside a list."""
    return entities if len(entities) > 1 else next(iter(entities), None)


def _time(job: Manifest, key: str) -> str | None:
    time = job.run.get(key)
    return datetime.fromisoformat(str(time)).isoformat() if time else None
