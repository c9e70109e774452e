"""Kinds: the sections that a study may choose between, found where they are defined.

A kind (of encoder, paradigm or task) is one section class in a module of its own, which states
all facts about it. Ours are the modules of a package; others come from installed packages, through
an entry point of that package's group that names the class.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import Field

from radscale_lib.study.base import Section

S = TypeVar("S", bound=Section)


class KindError(TypeError):
    """A kind that cannot be used."""


@cache
def kinds(package: str, base: type[S], tag: str, group: str) -> dict[str, type[S]]:
    """The kinds of a package and of the installed packages, by name, ours first.

    Args:
        package: whose modules each define one subclass of `base` that has a name.
        base: what a kind derives from.
        tag: the field that holds its name, as `kind: Literal["mi2"]`.
        group: of the entry points.

    Raises:
        KindError: if two kinds have one name, or an entry point names no kind.
    """
    found: dict[str, type[S]] = {}
    for where, kind in (*_own(package, base, tag), *_installed(base, tag, group)):
        name = kind_name(kind, tag)
        if name in found:
            raise KindError(f"{where}: {name!r} is the name of {found[name]} already: rename one")
        found[name] = kind
    return found


def union(found: dict[str, type[S]], tag: str) -> Any:
    """The type of a field that holds a section of any of these kinds."""
    return Annotated[Union[tuple(found.values())], Field(discriminator=tag)]  # noqa: UP007


def kind_name(section: type[Section], tag: str) -> str:
    """The name of a kind; empty for a class that is none.

    Args:
        section: the class.
        tag: the field that holds the name.
    """
    field = section.model_fields.get(tag)
    names = get_args(field.annotation) if field and get_origin(field.annotation) else ()
    return names[0] if len(names) == 1 and isinstance(names[0], str) else ""


def modules_of(package: str, group: str) -> list[str]:
    """Modules of a package, and those that the entry points of a group name; none is imported."""
    spec = find_spec(package)
    own = iter_modules(spec.submodule_search_locations if spec else [], f"{package}.")
    installed = sorted(entry_points(group=group), key=lambda entry: entry.name)
    return [module.name for module in own] + [entry.module for entry in installed]


def _own(package: str, base: type[S], tag: str) -> Iterator[tuple[str, type[S]]]:
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        for value in vars(import_module(module.name)).values():
            is_kind = isinstance(value, type) and issubclass(value, base) and kind_name(value, tag)
            if is_kind and value.__module__ == module.name:
                yield module.name, value


def _installed(base: type[S], tag: str, group: str) -> Iterator[tuple[str, type[S]]]:
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        value = entry.load()
        if not (isinstance(value, type) and issubclass(value, base) and kind_name(value, tag)):
            raise KindError(
                f"entry point {entry.name!r} of {group!r} ({entry.value}): must name a subclass "
                f"of {base.__module__}.{base.__name__} whose field {tag!r} is one literal text"
            )
        yield entry.value, value
