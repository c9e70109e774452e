"""The settings of a run: a resolved study in a file named by its content."""

import hashlib
from pathlib import Path

from radscale_lib.files import atomic_write
from radscale_lib.study import StudyError, load_study
from radscale_lib.study.model import Study

FOLDER = "settings"
"""Folder of settings, in the folder of the study's results."""


def settings_text(study: Study) -> str:
    """A study as JSON with all its defaults; keys stay in the study's order, which matters."""
    return study.model_dump_json(indent=2) + "\n"


def settings_file(study: Study) -> Path:
    """The file of a study's settings: `<results>/<name>/settings/<digest>.json`."""
    return study.folder / FOLDER / f"{_digest(settings_text(study))}.json"


def write_settings(study: Study) -> Path:
    """Write a study's settings unless they exist; return the file."""
    path, text = settings_file(study), settings_text(study)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        with atomic_write(path) as partial:
            partial.write_text(text, encoding="utf-8")
    return path


def are_settings(path: Path) -> bool:
    """Whether a study file is settings written by the workflow, judged by its path."""
    return path.parent.name == FOLDER and path.suffix == ".json"


def read_settings(path: Path) -> Study:
    """Read settings.

    Raises:
        StudyError: if they are missing, or their content does not match their name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"{path}: cannot be read ({error.strerror}): start the run again"
        ) from None
    except UnicodeDecodeError:
        text = ""
    if _digest(text) != path.stem:
        raise StudyError(
            f"{path}: edited or damaged: settings never change. Delete it, edit the study file and "
            "start the run again"
        )
    return load_study(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
