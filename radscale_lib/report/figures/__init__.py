"""Figures drawn from the tables of a finished study, one module each.

Each module defines one `FigureKind`; an installed package adds its own through an entry point of
the group `radscale.figures`.
"""

from functools import cache
from typing import TypeGuard

from radscale_lib.plugins import plugins
from radscale_lib.report.figures.base import Drawing, FigureKind, Tables

GROUP = "radscale.figures"

__all__ = ["GROUP", "Drawing", "FigureKind", "Tables", "figures"]


@cache
def figures() -> dict[str, FigureKind]:
    """Every kind of figure by name, ours first.

    Raises:
        PluginError: if an entry point names no figure, or a name is taken.
    """
    found = plugins(__name__, GROUP, _is_figure, lambda kind: kind.name, "a FigureKind")
    return {kind.name: kind for _, kind in found.values()}


def _is_figure(value: object) -> TypeGuard[FigureKind]:
    return isinstance(value, FigureKind)
