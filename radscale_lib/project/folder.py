"""A project folder: study file, Snakefile, profiles; the code stays in the installed package."""

import re
from pathlib import Path

from radscale_lib.files import atomic_write
from radscale_lib.places import workflow_folder
from radscale_lib.study import StudyError, parse_study, read_values
from radscale_lib.study.base import NAME

TEMPLATES = Path(__file__).parent / "templates"
STUDIES = {"demo": "config.yaml", "hospital": "hospital.yaml", "paper": "paper.yaml"}
"""Study files that come with the workflow, by the name of their study."""
_NAME_KEY = re.compile(r"^name:.*$", re.MULTILINE)


class ProjectError(ValueError):
    """A project folder that cannot be written; the message names the remedy."""


def write_project(folder: Path, study: str | Path, name: str | None = None) -> list[Path]:
    """Write a project folder; existing files are never overwritten.

    Args:
        folder: the folder, created if needed.
        study: study file with which the project begins, or one of `STUDIES`.
        name: of the study; by default the folder's.

    Returns:
        The files that were written, relative to the folder.

    Raises:
        ProjectError: if a file is there already, the name cannot be a study's, or the study file
            cannot be used.
    """
    contents = _contents(study, name or _name_of(folder))
    there = [file for file in contents if (folder / file).exists()]
    if there:
        raise ProjectError(
            f"{folder}: already has {', '.join(map(str, there))}, so nothing was written: choose "
            "another folder, or move them away"
        )
    for file, content in contents.items():
        with atomic_write(folder / file) as partial:
            partial.write_bytes(content)
    return list(contents)


def _contents(study: str | Path, name: str) -> dict[Path, bytes]:
    """Content of each file of a project."""
    ours = workflow_folder()
    copied = [
        *("config/study.schema.json", "profiles/default/config.yaml"),
        *("profiles/slurm/config.yaml", "profiles/slurm/site.yaml"),
    ]
    text, weights = _study_text(study, name)
    return {
        Path("Snakefile"): (TEMPLATES / "Snakefile").read_bytes(),
        Path(".gitignore"): (TEMPLATES / "gitignore").read_bytes(),
        Path("config/config.yaml"): text.encode(),
        Path("config/README.md"): (TEMPLATES / "README.md").read_bytes(),
        **{file: (ours / file).read_bytes() for file in [*map(Path, copied), *weights]},
    }


def _name_of(folder: Path) -> str:
    """A study name from a folder's: lower case, with hyphens for characters not allowed."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not re.fullmatch(NAME, name):
        raise ProjectError(f"{folder}: its name cannot be a study's: give one with --name")
    return name


def _study_text(study: str | Path, name: str) -> tuple[str, list[Path]]:
    """A study file's text, comments included, under another name; and its weights."""
    if not re.fullmatch(NAME, name):
        raise ProjectError(f"--name {name}: must be of lower-case letters, digits and hyphens")
    path = workflow_folder() / "config" / STUDIES[study] if study in STUDIES else Path(study)
    try:
        values = read_values(path)
    except StudyError as error:
        known = f", or one of {', '.join(STUDIES)}" if not path.exists() else ""
        raise ProjectError(f"{error}{known}") from None
    text, named = _NAME_KEY.subn(f'name: "{name}"', _read(path), count=1)
    if not named:
        raise ProjectError(f"{path}: no line 'name: …' to put the study's name in: add one")
    try:
        parsed = parse_study({**values, "name": name}, str(path))
    except StudyError as error:
        raise ProjectError(str(error)) from None
    weights = [each.weights for each in parsed.encoders.values() if each.weights]
    return text, [file for file in weights if (workflow_folder() / file).is_file()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
