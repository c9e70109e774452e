"""Fit and draw a scaling curve of your own numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from radscale_lib.report.style import COLOURS, COLUMN, house_style, new_figure
from radscale_lib.scaling.curves import Curve, answer, predictions_table
from radscale_lib.scaling.errors import ScalingError

STEPS = 40
"""Number of sizes at which a curve is drawn."""
INTERVAL = ("lo95", "hi95")


@dataclass(frozen=True)
class CurveFit:
    """A fitted curve of errors.

    Attributes:
        sizes: of the runs.
        errors: of the runs.
        predictions: a row per size asked for: `size`, `median`, and the ends of the 90 and 95 %
            intervals (`lo90`, `hi90`, `lo95`, `hi95`); with a target, the size that reaches it.
        report: what to know about the fit, line by line.
        drawn: predictions at sizes from the smallest to the largest, for a figure.
    """

    sizes: tuple[float, ...]
    errors: tuple[float, ...]
    predictions: pl.DataFrame
    report: tuple[str, ...]
    drawn: pl.DataFrame


def fit_curve(
    sizes: Sequence[float],
    errors: Sequence[float],
    standard_errors: Sequence[float] | None = None,
    *,
    predict: Sequence[float] = (),
    target: float | None = None,
    chance: float = float("inf"),
) -> CurveFit:
    """Fit scaling laws to errors against sizes, averaged over forms (docs/methods/scaling-fits.md).

    Args:
        sizes: images, tokens or FLOPs of each run; several runs may have the same size.
        errors: lower is better, as 1 − AUROC.
        standard_errors: of the errors; None or NaN where unknown.
        predict: sizes to predict the error at.
        target: error level to find the size of.
        chance: error at chance, the upper limit of predictions.

    Raises:
        ScalingError: if no curve can be fitted: fewer than three sizes, or values that are not
            errors.

    Example:
        >>> import radscale_lib
        >>> sizes = [100, 200, 400, 800, 1600]
        >>> fit = radscale_lib.fit_curve(sizes, [0.40, 0.33, 0.27, 0.22, 0.18], predict=[6400])
        >>> row = fit.predictions.row(0, named=True)
        >>> row["size"], 0.08 < row["lo95"] < row["median"] < row["hi95"] < 0.2
        (6400.0, True)
        >>> print(fit.report[0].split(";")[0])
        5 sizes, 5 runs
    """
    given = [*standard_errors] if standard_errors is not None else [float("nan")] * len(sizes)
    if not len(sizes) == len(errors) == len(given):
        raise ScalingError("sizes, errors and standard errors differ in number: give one each")
    curve = Curve("curve", [*map(float, sizes)], [*map(float, errors)], [*map(float, given)])
    first, last = min(curve.sizes, default=1.0), max([*curve.sizes, *predict], default=1.0)
    if not 0 < first <= last < float("inf"):
        raise ScalingError("sizes must be positive numbers")
    grid: list[float] = np.geomspace(first, last, STEPS).tolist()
    asked: list[tuple[float | None, float | None]] = [(float(size), target) for size in predict]
    asked = asked or ([(None, target)] if target is not None else [])
    curve.chance = chance
    curve.questions = asked + [(size, None) for size in grid]
    found = answer(curve)
    if found.refused:
        raise ScalingError(found.report[0].removeprefix("not fitted: "))
    table = predictions_table([found]).drop("curve")
    return CurveFit(
        tuple(curve.sizes),
        tuple(curve.errors),
        table.head(len(asked)),
        tuple(found.report),
        table.tail(STEPS).select("size", "median", *INTERVAL),
    )


def draw_curve(
    fit: CurveFit, title: str = "", size: str = "images", error: str = "error"
) -> Figure:
    """Draw a fitted curve: the runs, the median, and the 95 % interval, on logarithmic axes.

    Args:
        fit: of `fit_curve`.
        title: above the axes.
        size: label of the horizontal axis.
        error: label of the vertical axis.

    Example:
        >>> import radscale_lib
        >>> fit = radscale_lib.fit_curve([100, 200, 400, 800], [0.40, 0.33, 0.27, 0.22])
        >>> radscale_lib.draw_curve(fit, "Findings", error="1 − AUROC").savefig("curve.png")
    """
    colour = COLOURS[0]
    with house_style():
        figure = new_figure(COLUMN, COLUMN * 0.75)
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", title=title, xlabel=size, ylabel=error)
        sizes = fit.drawn["size"].to_list()
        lower, upper = (fit.drawn[name].to_list() for name in INTERVAL)
        axes.fill_between(sizes, lower, upper, color=colour, alpha=0.18, linewidth=0)
        axes.plot(sizes, fit.drawn["median"].to_list(), color=colour)
        axes.plot(fit.sizes, fit.errors, "o", color=colour, markersize=3.5)
        figure.draw_without_rendering()
    return figure
