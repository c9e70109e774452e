"""Kinds: sections from which a study may choose, discovered where they are defined.

A kind (of encoder, paradigm, task or head) is one section class in a module of its own, with all
facts about it. Installed packages add kinds through an entry point that names the class.
"""

from functools import cache
from typing import Annotated, Any, TypeGuard, TypeVar, Union, get_args, get_origin

from pydantic import Field

from radscale_lib.plugins import plugins
from radscale_lib.study.base import Section

S = TypeVar("S", bound=Section)


@cache
def kinds(package: str, base: type[S], tag: str, group: str) -> dict[str, type[S]]:
    """The kinds of a package and of the installed packages, by name, ours first.

    Args:
        package: a package whose modules each define one named subclass of `base`.
        base: the base class of kinds.
        tag: the field with its name, such as `kind: Literal["mi2"]`.
        group: group of the entry points.

    Raises:
        PluginError: if two kinds have the same name, or an entry point does not name a kind.
    """

    def is_kind(value: object) -> TypeGuard[type[S]]:
        return isinstance(value, type) and issubclass(value, base) and bool(kind_name(value, tag))

    wanted = f"a subclass of {base.__module__}.{base.__name__} whose field {tag!r} is one text"
    found = plugins(package, group, is_kind, lambda kind: kind_name(kind, tag), wanted)
    return {kind_name(kind, tag): kind for _, kind in found.values()}


def union(found: dict[str, type[S]], tag: str) -> Any:
    """The type of a field for a section of any of these kinds."""
    return Annotated[Union[tuple(found.values())], Field(discriminator=tag)]  # noqa: UP007


def kind_name(section: type[Section], tag: str) -> str:
    """The name of a kind; empty for a class that is not a kind.

    Args:
        section: the class.
        tag: the field with the name.
    """
    field = section.model_fields.get(tag)
    names = get_args(field.annotation) if field and get_origin(field.annotation) else ()
    return names[0] if len(names) == 1 and isinstance(names[0], str) else ""
