"""Format names and numbers as figures and the report print them."""

from collections.abc import Iterable

from radscale_lib.metrics import metrics
from radscale_lib.scaling.crossover import format_count
from radscale_lib.scaling.words import interval, number, p_value, percent
from radscale_lib.study import Run, Study

__all__ = [
    "PROPERTIES",
    "bare_title",
    "format_count",
    "interval",
    "label_metric_name",
    "listed",
    "metric_name",
    "missing_runs",
    "number",
    "p_value",
    "percent",
    "task_title",
]

PROPERTIES = {
    "finding": "",
    "tube": "",
    "view": "view ",
    "year": "year ",
    "scanner": "scanner ",
    "sex": "sex ",
    "age_band": "age ",
}
"""Prefix of the values in each group of a subset's properties."""


def metric_name(study: Study, task: str) -> str:
    """The fitted metric of a task, as printed on an axis."""
    return metrics(study.evaluation.tasks[task].kind)[study.scaling.metrics[task]].title


def label_metric_name(study: Study, task: str) -> str:
    """The same metric for a single label, which is not a mean over labels."""
    return bare_title(metric_name(study, task))


def bare_title(title: str) -> str:
    """A metric's title without the words that make it a mean over labels."""
    return title.removeprefix("macro ").removeprefix("mean ")


def task_title(study: Study, task: str) -> str:
    """A task's name and kind, without repetition."""
    title = study.evaluation.tasks[task].title(task.replace("-", " "))
    return title[0].upper() + title[1:]


def listed(words: Iterable[str], most: int = 99) -> str:
    """Words as an English list: a, b and c; beyond `most`, 'and k more'."""
    items = list(words)
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def missing_runs(present: Iterable[tuple[str, int, int]], expected: Iterable[Run]) -> str:
    """'n of N runs', naming the missing ones."""
    have = {Run(*run) for run in present}
    wanted = list(expected)
    missing = [run for run in wanted if run not in have]
    text = f"{len(wanted) - len(missing)} of {len(wanted)} runs"
    if not missing:
        return text
    names = [f"{run.arm} n={run.size:,} seed {run.seed}" for run in missing]
    return f"{text}; missing: {listed(names, 4)}"
