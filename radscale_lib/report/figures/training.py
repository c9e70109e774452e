"""Training: the loss of every run, and the other quantities in its log."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import (
    INK,
    arm_styles,
    drawn_for,
    house_style,
    new_figure,
    page_width,
)
from radscale_lib.report.words import format_count
from radscale_lib.study import Run, Study
from radscale_lib.texts import one_line

HEIGHT = 1.7
"""Height of a row of panels, inches."""
PANEL = 1.5
"""Minimum width of a panel, inches."""
DRAWN = {"loss": "loss", "rank": "effective rank", "grad_norm": "gradient norm", "knn": "k-NN"}
"""Columns of a log with a panel each, if a run has them."""


def read_logs(paths: Iterable[Path]) -> pl.DataFrame:
    """The table of the logs of runs, `<arm>/n=N/seed=S/log.parquet`."""
    found = {}
    for path in paths:
        arm, size, seed = path.parts[-4:-1]
        run = Run(arm, int(size.removeprefix("n=")), int(seed.removeprefix("seed=")))
        found[run] = pl.read_parquet(path)
    return training_table(found)


def training_table(logs: Mapping[Run, pl.DataFrame]) -> pl.DataFrame:
    """The logs of runs as one table, without machine-dependent columns."""
    schema: dict[str, Any] = {"step": pl.Int64, "samples": pl.Int64}
    schema |= dict.fromkeys(DRAWN, pl.Float64)
    names: dict[str, Any] = {"arm": pl.String, "size": pl.Int64, "seed": pl.Int64}
    empty = pl.DataFrame(schema=names | schema)
    tables = [
        log.select(
            pl.lit(run.arm).alias("arm"),
            pl.lit(run.size, pl.Int64).alias("size"),
            pl.lit(run.seed, pl.Int64).alias("seed"),
            *(
                pl.col(name).cast(kind) if name in log.columns else pl.lit(None, kind).alias(name)
                for name, kind in schema.items()
            ),
        )
        for run, log in logs.items()
        if len(log)
    ]
    return pl.concat([empty, *tables])


def draw_training(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`training`: a row of panels for each arm that trains, a line for each run."""
    table = tables.training
    if table is None:
        return
    table = table.filter(pl.col("arm").is_in(list(study.trained_arms)))
    arms = [arm for arm in study.trained_arms if len(table.filter(arm=arm))]
    if not arms:
        return
    drawn = [name for name in DRAWN if table[name].drop_nulls().drop_nans().len()]
    with house_style():
        figure = _chart(study, table, arms, drawn)
    runs = table.select("arm", "size", "seed").n_unique()
    caption = (
        f"Training logs of {runs} runs, against the samples seen: "
        f"{', '.join(DRAWN[x] for x in drawn)}; a line for each run, darker for more images. "
        "Smaller subsets are repeated more often within the same budget: see the table of runs."
    )
    alt = f"Line charts of the logs of {runs} runs of {len(arms)} arms."
    yield Drawing("training", figure, table, caption, alt)


def _chart(study: Study, table: pl.DataFrame, arms: list[str], drawn: list[str]) -> Figure:
    width = page_width()
    across = min(len(drawn), max(1, int(width / PANEL)))
    high = math.ceil(len(drawn) / across)
    figure = new_figure(width, HEIGHT * high * len(arms) + 0.3)
    grid = figure.subplots(high * len(arms), across, squeeze=False)
    panels = grid.reshape(len(arms), high * across)
    styles = arm_styles(study)
    sizes = table["size"].unique().sort().to_list()
    for row, arm in zip(panels, arms, strict=True):
        of = table.filter(arm=arm)
        for axes in row[len(drawn) :]:
            axes.set_visible(False)
        for axes, name in zip(row, drawn, strict=False):
            with drawn_for(axes, study, arm):
                for (size, _), run in of.drop_nulls(name).group_by(
                    "size", "seed", maintain_order=True
                ):
                    axes.plot(
                        run["samples"].to_list(), run[name].to_list(), lw=0.8,
                        color=styles[arm].colour, alpha=(sizes.index(size) + 1) / len(sizes),
                    )  # fmt: skip
            axes.set_ylabel(DRAWN[name])
            axes.xaxis.set_major_formatter(FuncFormatter(_count))
        row[0].set_title(one_line(arm))
    for axes in panels[-1, len(drawn) - across : len(drawn)]:
        axes.set_xlabel("samples seen")
    handles = [
        Line2D([], [], lw=1, color=INK, alpha=(place + 1) / len(sizes),
               label=f"{format_count(size)} images")
        for place, size in enumerate(sizes)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, int(width / 1.2)))
    return figure


def _count(seen: float, _: int) -> str:
    return format_count(seen) if seen else "0"


FIGURE = FigureKind("training", "runs", draw_training, reads=("encoders/*/log.parquet",))
