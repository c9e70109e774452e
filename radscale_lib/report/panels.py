"""Grids of small panels, one for each label or each arm."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radscale_lib.report.style import new_figure, page_width

LEAST = 1.3
"""Minimum width of a panel, inches."""
SQUARE = 2.4
"""Maximum side of a panel, inches."""


def across(count: int, least: float = LEAST) -> int:
    """Number of panels per row, chosen so that the last row is nearly full."""
    most = max(1, int(page_width() / least))
    return math.ceil(count / math.ceil(count / most))


def panel_grid(
    count: int,
    height: float | None = None,
    foot: float = 0.8,
    *,
    least: float = LEAST,
    sharex: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels that share the vertical axis; return both.

    Draw it inside `house_style()`.

    Args:
        count: of panels.
        height: height of a panel, inches; None makes them about square.
        foot: space for the legend, inches.
        least: least width of a panel, inches.
        sharex: whether they also share the horizontal axis.
    """
    width, beside = page_width(), across(count, least)
    high = math.ceil(count / beside)
    tall = min(width / beside, SQUARE) if height is None else height
    figure = new_figure(width, tall * high + foot)
    grid = figure.subplots(high, beside, sharex=sharex, sharey=True, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, list(grid[:count])


def name_outer(panels: Sequence[Axes], x: str, y: str, least: float = LEAST) -> None:
    """Label the axes of the panels at the left and in the last row.

    Each column has tick labels below its lowest panel. A label there, too, would leave a gap above
    the last row.
    """
    beside = across(len(panels), least)
    last = (len(panels) - 1) // beside
    for place, axes in enumerate(panels):
        if place % beside == 0:
            axes.set_ylabel(y)
        if place // beside == last:
            axes.set_xlabel(x)
        axes.tick_params(labelbottom=place + beside >= len(panels))
