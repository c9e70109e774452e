"""Walk over all keys of the study file, for the reference page and for hints in messages."""

from collections.abc import Iterator
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

NAMED = "<name>"
"""Placeholder in a path for a name chosen by the user."""


class Key(NamedTuple):
    """A key of the study file."""

    path: tuple[str, ...]
    info: FieldInfo
    section: type[BaseModel]


def keys(section: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key below a section, depth first in order of declaration.

    The variants of a union share their path, so the keys of all are given.
    """
    for name, info in section.model_fields.items():
        key = (*path, name)
        yield Key(key, info, section)
        for below, inner in sections_in(info.annotation):
            yield from keys(inner, key + below)


def sections_in(annotation: Any) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Sections in an annotation, each with the path to it (one name for a mapping)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation
    elif get_origin(annotation) is dict:
        for below, inner in sections_in(get_args(annotation)[1]):
            yield (NAMED, *below), inner
    elif get_origin(annotation) is not tuple:
        for member in get_args(annotation):
            if member is not NoneType:
                yield from sections_in(member)


def siblings(section: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    """Valid names at the end of a path; earlier parts may be names chosen by the user."""

    def matches(key: Key) -> bool:
        return len(key.path) == len(path) and all(
            expected in (NAMED, found)
            for expected, found in zip(key.path[:-1], path[:-1], strict=True)
        )

    return list(dict.fromkeys(key.path[-1] for key in keys(section) if matches(key)))
