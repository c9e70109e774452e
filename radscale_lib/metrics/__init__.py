"""Metrics, one module each: name, title, chance level, and how it is computed.

`METRIC` of a module is found here; an installed package adds its own through an entry point of the
group `radscale.metrics` that names a `Metric`. Modules import numpy inside functions only, since
every process checks the study file against their names.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from radscale_lib.metrics.base import Metric

GROUP = "radscale.metrics"


@cache
def metrics(task: str) -> dict[str, Metric]:
    """The metrics of a kind of task, by name, ours first.

    Raises:
        TypeError: if an entry point names no metric, or a name is taken.
    """
    found: dict[str, Metric] = {}
    for where, metric in (*_own(), *_installed()):
        if metric.task != task:
            continue
        if metric.name in found:
            raise TypeError(f"{where}: metric {metric.name!r} is there already: rename it")
        found[metric.name] = metric
    return found


@cache
def modules(task: str) -> dict[str, str]:
    """Module that defines each metric of a kind of task, by name."""
    return {metric.name: where for where, metric in (*_own(), *_installed()) if metric.task == task}


def _own() -> Iterator[tuple[str, Metric]]:
    for module in iter_modules(__path__, f"{__name__}."):
        metric = getattr(import_module(module.name), "METRIC", None)
        if metric is not None:
            yield module.name, metric


def _installed() -> Iterator[tuple[str, Metric]]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        metric = entry.load()
        if not isinstance(metric, Metric):
            raise TypeError(
                f"entry point {entry.name!r} of {GROUP!r} ({entry.value}): must name a Metric"
            )
        yield entry.value.partition(":")[0], metric
