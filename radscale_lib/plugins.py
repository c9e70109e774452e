"""Find the kinds defined by the modules of a package and by installed packages.

Ours are defined in the modules of one package; others come from installed packages, through an
entry point of that package's group that names the object.
"""

from collections.abc import Callable, Hashable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TypeGuard, TypeVar

T = TypeVar("T")


class PluginError(TypeError):
    """An entry point that cannot be used, or two objects with the same name."""


def plugins(
    package: str,
    group: str,
    accepts: Callable[[object], TypeGuard[T]],
    key: Callable[[T], Hashable],
    wanted: str,
) -> dict[Hashable, tuple[str, T]]:
    """The objects defined by the modules of a package and the entry points of a group, ours first.

    Args:
        package: its modules are imported; objects they import from each other are not taken twice.
        group: of the entry points.
        accepts: whether an object is of the kind that is looked for.
        key: its name.
        wanted: what an entry point must name, for the error.

    Returns:
        Module and object, by key.

    Raises:
        PluginError: if an entry point names something else, or two objects have the same key.
    """
    found: dict[Hashable, tuple[str, T]] = {}
    for module, value in (*_own(package, accepts), *_installed(group, accepts, wanted)):
        name = key(value)
        if name in found:
            raise PluginError(f"{module}: {name!r} is defined by {found[name][0]} too: rename one")
        found[name] = module, value
    return found


def modules_of(package: str, group: str) -> list[str]:
    """Names of a package's modules and of those in a group's entry points; nothing is imported."""
    return [*_modules(package), *(entry.module for entry in _entries(group))]


def _modules(package: str) -> list[str]:
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else []
    return [module.name for module in iter_modules(places, f"{package}.")]


def _entries(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def _own(package: str, accepts: Callable[[object], TypeGuard[T]]) -> Iterator[tuple[str, T]]:
    seen: set[int] = set()
    for name in _modules(package):
        for value in vars(import_module(name)).values():
            elsewhere = isinstance(value, type) and value.__module__ != name
            if accepts(value) and not elsewhere and id(value) not in seen:
                seen.add(id(value))
                yield name, value


def _installed(
    group: str, accepts: Callable[[object], TypeGuard[T]], wanted: str
) -> Iterator[tuple[str, T]]:
    for entry in _entries(group):
        value = entry.load()
        if not accepts(value):
            raise PluginError(
                f"entry point {entry.name!r} of {group!r} ({entry.value}): must name {wanted}"
            )
        yield entry.module, value
