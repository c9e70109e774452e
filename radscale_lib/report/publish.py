"""Tables for a paper: scores with intervals, verdicts, and the checklists."""

from collections.abc import Iterator

import polars as pl

from radscale_lib.report.checklists import checklist_table
from radscale_lib.report.figures import Tables
from radscale_lib.report.series import SCORED, task_series
from radscale_lib.report.words import format_count, interval, metric_name, p_value, task_title
from radscale_lib.study import Study


def published(study: Study, tables: Tables) -> Iterator[tuple[str, pl.DataFrame]]:
    """Name and content of each table, as text in the study's order.

    Args:
        study: names arms, tasks and metrics.
        tables: the study's tables.
    """
    scored = set(tables.scores["task"])
    tasks = [task for task in study.scaling.metrics if task in scored]
    scores = [row for task in tasks for row in _scores(study, tables, task)]
    if scores:
        yield "scores", pl.DataFrame(scores, infer_schema_length=None)
    claims = [
        {
            "Claim": row["claim"],
            "Verdict": row["verdict"],
            "Value": interval(row["value"], row["lower"], row["upper"], sign=True),
            "Adjusted p": p_value(row["adjusted"]),
        }
        for row in tables.verdicts.filter(target="macro").iter_rows(named=True)
    ]
    if claims:
        yield "verdicts", pl.DataFrame(claims)
    if scores:
        yield "checklist", checklist_table(study)


def _scores(study: Study, tables: Tables, task: str) -> Iterator[dict[str, str]]:
    """A row for each arm, baseline and floor: mean over seeds with its interval, by size."""
    rows = task_series(study, tables.scores, tables.fits, task)
    rows = rows.filter(pl.col("kind").is_in(SCORED))
    cells = {
        (row["arm"], int(row["size"])): interval(row["value"], row["lower"], row["upper"])
        for row in rows.iter_rows(named=True)
    }
    sizes = study.subsets.sizes if study.arms else ()
    for arm in (*study.arms, *study.baselines, *study.floors):
        own = study.baseline_of(arm).arm if arm in study.arms else arm
        row = {"Task": task_title(study, task), "Metric": metric_name(study, task), "Encoder": arm}
        row["0 images"] = cells.get((own, 0), "–")
        yield row | {f"{format_count(size)}": cells.get((arm, size), "–") for size in sizes}
