"""A figure: how all scores are distributed."""

from collections.abc import Iterator

from radscale_lib.report.figures import Drawing, FigureKind, Tables
from radscale_lib.report.style import COLUMN, house_style, new_figure
from radscale_lib.study import Study


def draw_histogram(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`histogram`: number of scores by their value."""
    counts = tables.scores["value"].hist(bin_count=5, include_breakpoint=True)
    with house_style():
        figure = new_figure(COLUMN, 2)
        figure.add_subplot().bar(counts["breakpoint"], counts["count"], width=0.1)
    caption = "Number of scores by their value."
    yield Drawing("histogram", figure, counts.select("breakpoint", "count"), caption, caption)


FIGURE = FigureKind("histogram", "results", draw_histogram)
