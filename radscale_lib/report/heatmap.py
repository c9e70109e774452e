"""Heat maps of differences, with named rows and a number in every cell."""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from radscale_lib.report.style import INK, new_figure, page_width

ROW = 0.2
"""Height of a row, inches."""
LETTERS = 0.055
"""Approximate width of a letter in names, inches."""
CELL = 0.36
"""Minimum width of a cell with a number, inches."""


def heat_map(
    values: NDArray[np.float64],
    sure: NDArray[np.bool_],
    rows: Sequence[tuple[str, str]],
    columns: Sequence[str],
    title: str,
    show: Callable[[float], str],
    reach: float | None = None,
) -> Figure:
    """Differences around zero, as colours and numbers; sure ones are bold.

    A narrow figure has the second part of a row's name on separate lines, and signs in place of
    numbers if cells are too narrow for them.

    Args:
        values: [rows, columns]; NaN is left white.
        sure: bool, of the same shape.
        rows: name of each row, and its further text.
        columns: names.
        title: above.
        show: a number as text.
        reach: difference of the strongest colour, larger ones have it too; None takes the largest.
    """
    width = page_width()
    longest = max(len(f"{name}{more}") for name, more in rows) + 3
    letters = int(0.45 * width / LETTERS)
    broken = longest > letters
    names = [
        f"{name}\n{_lines(more, letters)}"
        if broken and more
        else f"{name} ({more})"
        if more
        else name
        for name, more in rows
    ]
    taken = max(len(line) for name in names for line in name.split("\n")) * LETTERS
    cell = (width - taken - 0.6) / len(columns)
    many = cell < max(map(len, columns)) * LETTERS
    foot = 0.55 * max(map(len, columns)) * LETTERS if many else 0.1
    height = ROW * (1 + 0.55 * max(name.count("\n") for name in names))
    figure = new_figure(width, 0.5 + foot + height * len(rows))
    axes = figure.add_subplot()
    largest = max(float(np.nanmax(np.abs(values))), 1e-6)
    reach = reach or largest
    picture = axes.imshow(values, cmap="PuOr_r", norm=TwoSlopeNorm(0, -reach, reach), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                j, i, show(float(value)) if cell >= CELL else _sign(value),
                ha="center", va="center", fontsize=6.5,
                color="white" if abs(value) > 0.6 * reach else INK,
                weight="bold" if sure[i, j] else "normal",
            )  # fmt: skip
    axes.set_xticks(
        range(len(columns)), columns, rotation=35 * many, ha="right" if many else "center"
    )
    axes.set_yticks(range(len(rows)), names, fontsize=6.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    extend = "both" if largest > reach else "neither"
    bar = figure.colorbar(picture, ax=axes, aspect=30, pad=0.015, extend=extend)
    bar.outline.set_visible(False)
    title = textwrap.fill(title, int(width / (1.15 * LETTERS)))
    figure.suptitle(title, fontsize=7.5, weight="bold", x=0.01, ha="left")
    return figure


def _sign(value: float) -> str:
    return "+" if value > 0 else "−" if value < 0 else "0"


def _lines(text: str, letters: int) -> str:
    """A text in lines of so many letters, broken at semicolons first."""
    if len(text) <= letters:
        return text
    return "\n".join(
        textwrap.fill(part, letters, break_on_hyphens=False) for part in text.split("; ")
    )
