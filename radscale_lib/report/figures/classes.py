"""Heat map of labels and arms: the gain of continued pretraining by label."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.heatmap import heat_map
from radscale_lib.report.release import small_labels, without_labels
from radscale_lib.report.series import level_gains
from radscale_lib.report.style import house_style
from radscale_lib.report.words import label_metric_name, number, task_title
from radscale_lib.scaling.heads import of_head
from radscale_lib.study import Study
from radscale_lib.texts import one_line

SCHEMA = pl.Schema(
    {
        "task": pl.String,
        "target": pl.String,
        "arm": pl.String,
        "positives": pl.Int64,
        "cases": pl.Int64,
        "open": pl.Float64,
        "difference": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
        "verdict": pl.String,
    }
)


def draw_classes(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`classes-<task>`: each arm's gain over its open weights, by label."""
    gains = tables.verdicts.filter(
        (pl.col("kind") == "overtakes") & (pl.col("target") != "macro")
    ).drop_nulls("value")
    for task in study.scaling.metrics:
        of = gains.filter(task=task)
        if of.is_empty():
            continue
        table = _table(study, of, tables.scores, task)
        if table.is_empty():
            continue
        with house_style():
            figure = _heat_map(study, table, task)
        metric = label_metric_name(study, task)
        caption = (
            f"{task_title(study, task)}: difference in {metric} from the open weights at the "
            "largest size, by label. Below each label: test positives / cases, prevalence, and the "
            "scores of the open weights. Bold differences hold after correction for all claims on "
            "labels."
        )
        if set(table["arm"]) - set(study.arms):
            caption += (
                " Floors are compared with the open weights of their encoder, other baselines with "
                "those of the first arm; colours span the differences of the arms alone."
            )
        trained = table.filter(pl.col("arm").is_in(list(study.arms)))
        best = trained.row(int(trained["difference"].arg_max() or 0), named=True)
        alt = (
            f"Heat map of {table['target'].n_unique()} labels and {trained['arm'].n_unique()} "
            f"arms; the largest gain is {number(best['difference'], sign=True)} for "
            f"{best['target']} by {best['arm']}."
        )
        yield Drawing(f"classes-{task}", figure, table, caption, alt)


def _table(study: Study, gains: pl.DataFrame, scores: pl.DataFrame, task: str) -> pl.DataFrame:
    """A row for each label and arm, labels by their number of positives."""
    of = of_head(study, scores, task).filter(metric=study.scaling.metrics[task])
    rows = []
    for row in gains.iter_rows(named=True):
        opened = of.filter(arm=row["other"], target=row["target"])
        first = opened.row(0, named=True) if len(opened) else {}
        rows.append(
            {
                "task": task,
                "target": row["target"],
                "arm": row["arm"],
                "positives": first.get("positives"),
                "cases": first.get("cases"),
                "open": opened["value"].mean() if len(opened) else None,
                "difference": row["value"],
                "lower": row["lower"],
                "upper": row["upper"],
                "verdict": row["verdict"],
            }
        )
    for target in dict.fromkeys(row["target"] for row in rows):
        first = next(row for row in rows if row["target"] == target)
        kept = {name: first[name] for name in ("task", "target", "positives", "cases")}
        rows += [
            kept | {"arm": name, "difference": gain}
            for name, gain in level_gains(study, scores, task, target).items()
        ]
    few = small_labels(of, study.smallest_cell("institution"))
    return without_labels(pl.DataFrame(rows, SCHEMA), few).sort(
        "positives", descending=True, nulls_last=True, maintain_order=True
    )


def _heat_map(study: Study, table: pl.DataFrame, task: str) -> Figure:
    targets = table["target"].unique(maintain_order=True).to_list()
    columns = (*study.arms, *study.baselines, *study.floors)
    arms = [arm for arm in columns if arm in set(table["arm"])]
    values = np.full((len(targets), len(arms)), np.nan)
    sure = np.zeros_like(values, bool)
    for row in table.iter_rows(named=True):
        cell = targets.index(row["target"]), arms.index(row["arm"])
        values[cell] = row["difference"]
        sure[cell] = row["verdict"] in ("supported", "contradicted")
    title = f"{task_title(study, task)}: {label_metric_name(study, task)} minus the open weights’"
    return heat_map(
        values,
        sure,
        [_title(study, table, target) for target in targets],
        [one_line(arm) for arm in arms],
        one_line(title),
        lambda value: number(value, sign=True),
        reach=_strongest(study, table),
    )


def _strongest(study: Study, table: pl.DataFrame) -> float | None:
    """The largest difference of an arm: floors are so far off that beside them arms look alike."""
    of_arms = table.filter(pl.col("arm").is_in(list(study.arms)))["difference"].drop_nans().abs()
    return float(of_arms.max() or 0) or None  # type: ignore[arg-type]


def _title(study: Study, table: pl.DataFrame, target: str) -> tuple[str, str]:
    """`pneumothorax`, `31 / 840, 3.7%; open 0.812`: prevalence, and the open weights' scores.

    If there are several encoders, their open weights are named.
    """
    of = table.filter(target=target)
    row = of.row(0, named=True)
    values = {
        study.baseline_of(one["arm"]).arm: number(one["open"])
        for one in of.drop_nulls("open").iter_rows(named=True)
    }
    opened = [f"{name} {value}" for name, value in values.items()]
    if len(values) == 1:
        opened = [f"open {value}" for value in values.values()]
    positives, cases = row["positives"], row["cases"]
    counts = f"{positives:,} / {cases:,}, {positives / cases:.1%}" if positives and cases else ""
    more = "; ".join(part for part in (counts, one_line(", ".join(opened))) if part)
    return one_line(target.replace("_", " ")), more


FIGURE = FigureKind(
    "classes", "classes", draw_classes, reads=("scores.parquet", "verdicts.parquet")
)
