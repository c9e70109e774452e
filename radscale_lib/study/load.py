"""Reading a study file, with errors a person can act on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from radscale_lib.study.model import Study


class StudyError(ValueError):
    """A study file that cannot be used; the message lists every problem with its remedy."""


def parse_study(values: Mapping[str, Any], source: str = "study") -> Study:
    """Check the values of a study file.

    Args:
        values: the file's content, as YAML gives it.
        source: what to call the file in messages.

    Raises:
        StudyError: naming each key, its value and the remedy.
    """
    try:
        return Study.model_validate(dict(values))
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise StudyError(
            f"{source}: {len(lines)} problem{'s' * (len(lines) > 1)}:\n"
            + "\n".join(f"  - {line}" for line in lines)
        ) from None


def load_study(path: Path) -> Study:
    """Read and check a study file (YAML).

    Raises:
        StudyError: if the file is missing, no YAML mapping, or no valid study.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}): give a study file") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: no valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise StudyError(f"{path}: a study file is a mapping of keys: see config/config.yaml")
    return parse_study(values, str(path))


_REMEDIES = {
    "extra_forbidden": "unknown key: check its spelling against docs/study-file.md or remove it",
    "missing": "required key is missing: add it",
}


def _explain(problem: Any) -> str:
    discriminators = {"mi2", "rad-dino", "unicl", "dinov2"} | {
        "classification", "segmentation", "generation"
    }  # fmt: skip
    location = [str(part) for part in problem["loc"]]
    # A union member's tag follows the key it discriminates; it is no key of the file.
    shown = [
        part
        for i, part in enumerate(location)
        if not (part in discriminators and i >= 2 and _is_tag(location, i))
    ]
    key = ".".join(shown) or "study"
    message = _REMEDIES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    if isinstance(value, str | int | float | bool | type(None)) and problem["type"] != "missing":
        return f"{key}: {message} (got {value!r})"
    return message if key == "study" else f"{key}: {message}"


def _is_tag(location: list[str], i: int) -> bool:
    """Whether part i is pydantic's union tag: it follows a recipe, or a named encoder or task."""
    previous = location[i - 1]
    return previous == "recipe" or (i >= 2 and location[i - 2] in {"encoders", "tasks"})
