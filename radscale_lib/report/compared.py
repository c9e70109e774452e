"""The report's tables of differences between encoders, and of subgroups."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from radscale_lib.report.words import interval, metric_name, number, task_title
from radscale_lib.scaling.heads import of_head
from radscale_lib.study import Study

MACRO = "macro"


def difference_tasks(study: Study, differences: pl.DataFrame) -> list[dict[str, Any]]:
    """By task, each arm at its largest size compared with every baseline and floor.

    Args:
        study: the study.
        differences: the differences table.
    """
    tasks = []
    for task in study.scaling.metrics:
        rows = _drawn(study, differences, task).filter(
            (pl.col("target") == MACRO) & pl.col("arm").is_in(list(study.arms))
        )
        shown = []
        for arm, size in _largest(study).items():
            for other in (*study.evaluated_only, *study.floors):
                found = rows.filter(arm=arm, size=size, other=other, other_size=0)
                for row in found.iter_rows(named=True):
                    ends = interval(row["difference"], row["lower"], row["upper"], sign=True)
                    shown.append(
                        {"arm": arm, "size": f"{size:,}", "other": other, "difference": ends}
                        | {"note": row["note"] or ""}
                    )
        if shown:
            title = f"{task_title(study, task)}, {metric_name(study, task)}"
            tasks.append({"task": task, "title": title, "rows": shown})
    return tasks


def subgroup_tasks(study: Study, subgroups: pl.DataFrame) -> list[dict[str, Any]]:
    """By task, each property's worst group and its gap to the best, at the largest sizes.

    If there are several seeds, the first is shown.

    Args:
        study: the study.
        subgroups: the subgroups table.
    """
    tasks = []
    for task in study.scaling.metrics:
        rows = _drawn(study, subgroups, task).sort("seed", maintain_order=True)
        shown = []
        for arm, size in _largest(study).items():
            of_arm = rows.filter(arm=arm, size=size)
            first = of_arm.filter(pl.col("seed") == pl.col("seed").min())
            shown += [{"arm": arm, "size": f"{size:,}"} | row for row in _gaps(first)]
        if shown:
            title = f"{task_title(study, task)}, {metric_name(study, task)}"
            tasks.append({"task": task, "title": title, "rows": shown})
    return tasks


def _gaps(rows: pl.DataFrame) -> Iterator[dict[str, str]]:
    """A row for each property: for the mean over labels, or for the label it concerns."""
    for (by,), of_by in rows.group_by("by", maintain_order=True):
        targets = of_by["target"].unique(maintain_order=True).to_list()
        target = MACRO if MACRO in targets else targets[0]
        if MACRO not in targets and len(targets) > 1:
            continue
        about = of_by.filter(target=target)
        gap, worst = (about.filter(kind=kind).rows(named=True) for kind in ("gap", "worst"))
        if not gap or not worst:
            continue
        best = about.filter(kind="group", group=gap[0]["other"]).row(0, named=True)
        yield {
            "by": str(by),
            "worst": gap[0]["group"],
            "value": interval(worst[0]["value"], worst[0]["lower"], worst[0]["upper"]),
            "best": gap[0]["other"],
            "best_value": number(best["value"]),
            "gap": interval(gap[0]["value"], gap[0]["lower"], gap[0]["upper"], sign=True),
        }


def _drawn(study: Study, table: pl.DataFrame, task: str) -> pl.DataFrame:
    """Rows of the head and metric that are fitted."""
    return of_head(study, table, task).filter(metric=study.scaling.metrics[task])


def _largest(study: Study) -> dict[str, int]:
    """The largest size of each arm."""
    return {name: max(arm.sizes or study.subsets.sizes) for name, arm in study.arms.items()}
