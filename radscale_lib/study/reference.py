"""Generate the JSON schema and the reference page of the study file.

`make docs` writes both: `python -m radscale_lib.study.reference`.
"""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from radscale_lib.study.keys import keys, sections_in
from radscale_lib.study.model import Study

SCHEMA = Path("config/study.schema.json")
PAGE = Path("docs/reference/study-file.md")

_INTRODUCTION = """\
# The study file

<!-- Written by `make docs` from radscale_lib/study: edit the descriptions there. -->

Every key, section by section, with its type, default and meaning. An unknown key is an error.
`<name>` stands for a name of yours: lower-case letters, digits and hyphens. Numbers may be written
`1e-3`. Paths are relative to the folder that snakemake is started in. Threads, memory and a
cluster's queues are no part of a study: they belong to the profiles.

`config/config.yaml` is the embedded study,
`config/paper.yaml` the full one and
`config/smoke.yaml` the smallest.
"""
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_TYPES = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    Any: "any value",
}


def schema() -> str:
    """JSON schema of the study file, for editors."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    document |= Study.model_json_schema()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Reference of every key, as Markdown: a table for each section of the model."""
    return "\n".join([_INTRODUCTION, *(_table(*entry) for entry in _sections().items())])


def main() -> None:
    """Write both files."""
    SCHEMA.write_text(schema(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


def _sections() -> dict[type[BaseModel], list[str]]:
    """Every section with its possible paths, in the file's order."""
    places: dict[type[BaseModel], list[str]] = {Study: []}
    for key in keys(Study):
        for below, section in sections_in(key.info.annotation):
            found = places.setdefault(section, [])
            place = ".".join(key.path + below)
            if place not in found:
                found.append(place)
    return places


def _table(section: type[BaseModel], places: list[str]) -> str:
    tag = next((f"{name}: {_literals(info.annotation)[0]}" for name, info in _tags(section)), None)
    heading = ", ".join(f"`{place}`" for place in places) or "Top level"
    lines = [
        f"## {heading}" + (f" with `{tag}`" if tag else ""),
        "",
        inspect.cleandoc(section.__doc__ or ""),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    tags = {name for name, _ in _tags(section)}
    lines += [
        f"| `{name}` | {_type(info)} | {_default(info)} | {_cell(_meaning(info))} |"
        for name, info in section.model_fields.items()
        if name not in tags
    ]
    return "\n".join(lines) + "\n"


def _tags(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Fields with a single fixed value, which distinguish the variants of a section."""
    for name, info in section.model_fields.items():
        if len(_literals(info.annotation)) == 1:
            yield name, info


def _literals(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _meaning(info: FieldInfo) -> str:
    """The key's description, or else the first line of its section's docstring."""
    if info.description:
        return info.description
    _, section = next(sections_in(info.annotation))
    return inspect.cleandoc(section.__doc__ or "").splitlines()[0]


def _cell(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, Path):
        value = str(value)
    return f"`{json.dumps(value, ensure_ascii=False, default=_plain)}`"


def _plain(section: BaseModel) -> dict[str, Any]:
    """A section within a default value, as it would be in the study file."""
    return section.model_dump(mode="json", exclude_defaults=True)


def _type(info: FieldInfo) -> str:
    return _named_type(info.annotation) + _bounds(info.metadata)


def _named_type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        metadata = [
            bound
            for item in arguments[1:]
            for bound in (item.metadata if isinstance(item, FieldInfo) else [item])
        ]
        return _named_type(arguments[0]) + _bounds(metadata)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is dict:
        return f"{_named_type(arguments[1])} by name"
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {_named_type(arguments[0])}"
        return f"list of {len(arguments)}: {_named_type(arguments[0])}"
    if arguments:
        members = [member for member in arguments if member is not NoneType]
        return " or ".join(dict.fromkeys(map(_named_type, members)))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _TYPES[annotation]


def _bounds(metadata: list[Any]) -> str:
    bounds = [
        f"{symbol} {getattr(item, name)}"
        for item in metadata
        for name, symbol in _BOUNDS.items()
        if hasattr(item, name)
    ]
    return f" {', '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    main()
