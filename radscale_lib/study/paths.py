"""Check before the first job that files, folders and packages named in a study exist."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from radscale_lib.study.archive import Archive
from radscale_lib.study.model import Study

KEY_VARIABLE = "RADSCALE_KEY"
"""Environment variable with the secret key of the pseudonyms."""


def path_problems(study: Study) -> list[str]:
    """What the study names and this machine lacks, each as `key: problem and remedy`.

    A dry run may continue with these, as on a machine without the data; jobs may not.
    """
    problems = [
        problem
        for name, archive in study.archives.items()
        for problem in _archive_problems(study.key_of(name), archive)
    ]
    if study.labels.audit.table is not None:
        problems += _absent("labels.audit.table", study.labels.audit.table, "file")
    if study.subsets.order.kind == "curated":
        problems += _absent("subsets.order.table", study.subsets.order.table, "file")
    for name, encoder in study.encoders.items():
        if encoder.weights is not None:
            problems += _absent(f"encoders.{name}.weights", encoder.weights, encoder.weights_are)
    for name, task in study.evaluation.tasks.items():
        for key, folder in (*task.folders(), *task.scoring_folders()):
            problems += _absent(f"evaluation.tasks.{name}.{key}", folder, "folder")
        for key, package, remedy in task.packages():
            if find_spec(package) is None:
                value = getattr(task, key)
                problems.append(
                    f"evaluation.tasks.{name}.{key}: {value} needs the package {package}: {remedy}"
                )
    return problems


def _archive_problems(name: str, archive: Archive) -> Iterator[str]:
    if archive.dicom is None or archive.ingested:
        return
    yield from _absent(f"{name}.dicom", archive.dicom, "folder")
    for key in ("reports", "labels", "tubes"):
        path = getattr(archive, key)
        if path is not None:
            yield from _absent(f"{name}.{key}", path, "file")
    if archive.key_file is not None:
        make = f"; radscale key new {archive.key_file} makes one for a new archive"
        yield from (each + make for each in _absent(f"{name}.key_file", archive.key_file, "file"))
    elif not os.environ.get(KEY_VARIABLE):
        yield (
            f"{name}.key_file: no secret key for the pseudonyms: set it, or the environment "
            f"variable {KEY_VARIABLE} (make one with: radscale key new FILE)"
        )


def _absent(key: str, path: Path, kind: str) -> Iterator[str]:
    found = {"folder": path.is_dir, "file": path.is_file, "either": path.exists}[kind]()
    if not found:
        kind = "file or folder" if kind == "either" else kind
        yield f"{key}: no {kind} {str(path)!r}: correct the path, or put the {kind} there"
