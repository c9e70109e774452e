"""Figures, one module each: what is drawn from the tables of a finished study.

`FIGURE` of a module is found here; an installed package adds its own through an entry point of the
group `radscale.figures` that names a `FigureKind`.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables

GROUP = "radscale.figures"

__all__ = ["GROUP", "Drawing", "FigureKind", "Tables", "figures"]


@cache
def figures() -> dict[str, FigureKind]:
    """Every kind of figure by name, ours first.

    Raises:
        TypeError: if an entry point names no figure, or a name is taken.
    """
    found: dict[str, FigureKind] = {}
    for where, kind in (*_own(), *_installed()):
        if kind.name in found:
            raise TypeError(f"{where}: figure {kind.name!r} is there already: rename it")
        found[kind.name] = kind
    return found


def _own() -> Iterator[tuple[str, FigureKind]]:
    for module in iter_modules(__path__, f"{__name__}."):
        kind = getattr(import_module(module.name), "FIGURE", None)
        if kind is not None:
            yield module.name, kind


def _installed() -> Iterator[tuple[str, FigureKind]]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        kind = entry.load()
        if not isinstance(kind, FigureKind):
            raise TypeError(
                f"entry point {entry.name!r} of {GROUP!r} ({entry.value}): must name a FigureKind"
            )
        yield entry.value, kind
