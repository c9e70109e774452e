"""Read a study file, with errors that a person can act on."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from radscale_lib.study.base import NAME
from radscale_lib.study.keys import siblings
from radscale_lib.study.model import Study
from radscale_lib.study.report import COLOUR
from radscale_lib.study.shared import with_shared


class StudyError(ValueError):
    """A study file that cannot be used; the message lists every problem with its remedy."""


def parse_study(values: Mapping[str, Any], source: str = "study") -> Study:
    """Check the values of a study file.

    Args:
        values: the file's content, as parsed from YAML.
        source: what to call the file in messages.

    Raises:
        StudyError: naming each key, its value and the remedy.
    """
    values = _numbers(values)
    try:
        values = with_shared(values)
    except ValueError as error:
        raise StudyError(_listed(source, [str(error)])) from None
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        lines = [line for problem in error.errors() for line in _explain(problem, values)]
        raise StudyError(_listed(source, lines)) from None


def load_study(path: Path) -> Study:
    """Read and check a study file (YAML or JSON).

    Raises:
        StudyError: if the file is missing, not a mapping of keys, or not a valid study.
    """
    return parse_study(read_values(path), str(path))


def read_values(path: Path) -> dict[str, Any]:
    """The unchecked content of a study file: JSON if its name ends so, else YAML.

    Raises:
        StudyError: if the file cannot be read, a key appears twice, or it is not a mapping of keys.
    """
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8")
        if kind == "JSON":
            values = json.loads(text, object_pairs_hook=_distinct)
        else:
            values = yaml.load(text, _Loader)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}): give a study file") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        if "'\\t'" in problem:
            problem = "a tab where the line is indented: use spaces"
        raise StudyError(f"{path}: not valid YAML: {place}{problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StudyError(f"{path}: no valid {kind}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise StudyError(f"{path}: a study file is a mapping of keys: see config/config.yaml")
    return values


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} appears twice: remove one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key appears twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"key {twice!r} appears twice: remove one")
    return values


_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def _numbers(value: Any) -> Any:
    """The values with text like 1e-3, which is not a number in YAML 1.1, turned into numbers."""
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(inner) for inner in value]
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value


_FORMS = {
    NAME: "a name of lower-case letters, digits and hyphens",
    COLOUR: "a colour as '#rrggbb', in quotation marks",
}


def _listed(source: str, lines: list[str]) -> str:
    count = f"{len(lines)} problem{'s' * (len(lines) > 1)}"
    return f"{source}: {count}:\n" + "\n".join(f"  - {line}" for line in lines)


def _explain(problem: Any, values: Mapping[str, Any]) -> list[str]:
    """Messages for one of pydantic's errors, each as `key: problem and remedy (got value)`."""
    path = _path_in_file(problem, values)
    key = ".".join(path)
    value = problem["input"]
    told = isinstance(value, str | int | float | bool | None)
    if path[-1:] == ("url",) and "@" in str(value):
        told = False  # it contains a password
    got = f" (got {value!r})" if told else ""
    match problem["type"]:
        case "missing":
            return [f"{key}: required key is missing: add it"]
        case "extra_forbidden":
            return [f"{key}: unknown key: {_hint(path)}"]
        case "value_error":
            texts = str(problem["ctx"]["error"]).splitlines()
            return [f"{key}: {text}{got}" if key else text for text in texts]
        case "union_tag_invalid":
            tag = problem["ctx"]["discriminator"].strip("'")
            expected, found = problem["ctx"]["expected_tags"], problem["ctx"]["tag"]
            return [f"{key}.{tag}: must be one of {expected} (got {found!r})"]
        case "union_tag_not_found":
            tag = problem["ctx"]["discriminator"].strip("'")
            return [f"{key}.{tag}: required key is missing: add it"]
        case "string_pattern_mismatch":
            form = _FORMS.get(problem["ctx"]["pattern"], problem["ctx"]["pattern"])
            return [f"{key}: must be {form}{got}"]
        case "too_short":
            return [f"{key}: must not be empty: name at least one (got {value!r})"]
        case "model_type" | "model_attributes_type" | "dict_type":
            return [f"{key}: must be a mapping of keys: see docs/reference/study-file.md{got}"]
        case _:
            return [f"{key}: {problem['msg'].replace('Input should', 'must')}{got}"]


def _path_in_file(problem: Any, values: Any) -> tuple[str, ...]:
    """The keys of an error as in the file, without the union members that pydantic adds."""
    path = []
    location = [part for part in problem["loc"] if part != "[key]"]
    for i, part in enumerate(location):
        missing = problem["type"] == "missing" and i == len(location) - 1
        if isinstance(part, int) and isinstance(values, list | tuple):
            values = values[part] if part < len(values) else None
        elif isinstance(values, Mapping) and part in values:
            values = values[part]
        elif not missing:
            continue
        path.append(str(part))
    return tuple(path)


def _hint(path: tuple[str, ...]) -> str:
    known = siblings(Study, path)
    close = difflib.get_close_matches(path[-1], known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"remove it, or use one of {known}"
