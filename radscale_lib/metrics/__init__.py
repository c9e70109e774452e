"""Metrics, one module each: name, title, chance level and computation.

Each module defines one `Metric`; an installed package adds its own through an entry point of the
group `radscale.metrics`. Modules import numpy only inside functions, since every process checks the
study file against their names.
"""

from functools import cache
from typing import TypeGuard

from radscale_lib.metrics.base import Metric
from radscale_lib.plugins import plugins

GROUP = "radscale.metrics"


def metrics(task: str) -> dict[str, Metric]:
    """The metrics of a kind of task, by name, ours first.

    Raises:
        PluginError: if an entry point names no metric, or a name is taken.
    """
    return {metric.name: metric for _, metric in _all() if metric.task == task}


def modules(task: str) -> dict[str, str]:
    """Module that defines each metric of a kind of task, by name."""
    return {metric.name: module for module, metric in _all() if metric.task == task}


@cache
def _all() -> tuple[tuple[str, Metric], ...]:
    found = plugins(
        __name__, GROUP, _is_metric, lambda metric: (metric.task, metric.name), "a Metric"
    )
    return tuple(found.values())


def _is_metric(value: object) -> TypeGuard[Metric]:
    return isinstance(value, Metric)
