"""Fit your own curves: from a CSV table to predictions and the sizes that reach a target.

The table has a row per run (`curve, size, value, se`; errors, lower is better) or per question: a
row without `value` asks for the error at its size, a `target` for the size that reaches it.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from radscale_lib.scaling.crossover import crossing_sizes, locate
from radscale_lib.scaling.diagnostics import diagnose, dropped_line, identification_lines
from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.fit import WIDE_FLOOR, Fit, fit
from radscale_lib.scaling.laws import Array
from radscale_lib.scaling.least_squares import RECENCY, fit_law

DRAWS = 1000
"""Draws written per predicted row; intervals are computed from COUNT draws."""
COUNT = 4000
LEVELS = {"lo90": 0.05, "hi90": 0.95, "lo95": 0.025, "hi95": 0.975}
"""Besides these, `median` is the centre of the draws (`Ensemble.centre`)."""
PREDICTIONS_SCHEMA = pl.Schema(
    {
        **{"curve": pl.String, "size": pl.Float64},
        **dict.fromkeys(("median", *LEVELS), pl.Float64),
        **dict.fromkeys(("target", "crossover", "crossover_lo90", "crossover_hi90"), pl.Float64),
        **{"censored": pl.String, "note": pl.String},
    }
)
DRAWS_SCHEMA = pl.Schema(
    {"curve": pl.String, "size": pl.Float64, "draw": pl.Int64, "value": pl.Float64}
)


MOST_RUNS = 100
"""A fit's time grows with the cube of the runs: beyond this number they are merged by size."""
PER_CENT = 10
"""Values above 1 and this many times those below 1 are taken to be in another unit."""
RESOLUTION = 5e-4
"""An error of zero is replaced by this, or by half the smallest other error."""


@dataclass
class Curve:
    """The runs of one curve, and the questions about it.

    Attributes:
        name: of the curve.
        sizes: of its runs.
        errors: of its runs.
        standard_errors: of the errors; NaN where unknown.
        questions: (size, target) of each row to answer; None for the one not asked for.
        chance: error of chance, the cap of predictions; infinity if there is none.
        notes: how the runs were cleaned.
        dropped: runs left out of the fit, and why.
    """

    name: str
    sizes: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    standard_errors: list[float] = field(default_factory=list)
    questions: list[tuple[float | None, float | None]] = field(default_factory=list)
    chance: float = float("inf")
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def read_curves(path: Path, target: float | None = None) -> list[Curve]:
    """Read a table of curves, in order of first appearance.

    Args:
        path: CSV with columns `curve, size, value` and optionally `se`, `target`, `chance`.
        target: target for every question without one of its own.

    Raises:
        ScalingError: for a table that cannot be read; names file, row and remedy. Problems with the
            values of a single curve are found by `answer`.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise ScalingError(f"{path}: not a CSV table: {str(error).splitlines()[0]}") from None
    missing = [name for name in ("curve", "size", "value") if name not in table.columns]
    if missing:
        raise ScalingError(f"{path}: no column {missing}: give curve, size, value and se")
    columns = {
        name: _numbers(path, table, name) for name in ("size", "value", "se", "target", "chance")
    }
    if target is not None and not (np.isfinite(target) and target >= 0):
        raise ScalingError(f"target {target:g}: give an error level")
    curves: dict[str, Curve] = {}
    asked: dict[str, list[tuple[float | None, float | None]]] = {}
    spelt: dict[str, tuple[str, int]] = {}
    guessing: dict[str, tuple[float, int]] = {}
    for row, name in enumerate(table["curve"].to_list()):
        where = f"{path}, row {row + 2}"
        if name is None:
            raise ScalingError(f"{where}: the curve has no name")
        spelling, first = spelt.setdefault(" ".join(name.split()), (name, row + 2))
        if spelling != name:
            raise ScalingError(
                f"{where}: the curve's name differs from that of row {first} by white space alone: "
                "write both alike"
            )
        curve = curves.setdefault(name, Curve(name))
        size, value, se, goal, chance = (columns[column][row] for column in columns)
        if size is not None and not (np.isfinite(size) and size > 0):
            raise ScalingError(f"{where}: size {size:g}: give a positive number")
        if goal is not None and not (np.isfinite(goal) and goal >= 0):
            raise ScalingError(f"{where}: target {goal:g}: give an error level")
        if chance is not None:
            curve.chance, first = guessing.setdefault(name, (chance, row + 2))
            if chance != curve.chance:
                raise ScalingError(
                    f"{where}: chance {chance:g}, and {curve.chance:g} in row {first} of the same "
                    "curve: give one"
                )
        if value is None:
            curve.questions.append((size, goal))
            if size is None and goal is None and target is None:
                raise ScalingError(f"{where}: neither value, size nor target: remove the row")
            continue
        if size is None:
            raise ScalingError(f"{where}: a value without a size")
        if goal is not None:
            asked.setdefault(name, []).append((None, goal))
        curve.sizes.append(size)
        curve.errors.append(value)
        curve.standard_errors.append(float("nan") if se is None else se)
    for name, curve in curves.items():
        goals = list(dict.fromkeys(asked.get(name, [])))
        default = goals[0][1] if len(goals) == 1 else target
        if curve.questions:
            curve.questions = [
                (size, default if goal is None else goal) for size, goal in curve.questions
            ]
        else:
            curve.questions = goals or ([(None, target)] if target is not None else [])
    return list(curves.values())


def _numbers(path: Path, table: pl.DataFrame, name: str) -> list[float | None]:
    """A column as numbers, None where it is empty or missing."""
    if name not in table.columns:
        return [None] * len(table)
    out: list[float | None] = []
    for row, text in enumerate(table[name].to_list()):
        try:
            out.append(float(text) if text is not None and text.strip() else None)
        except ValueError:
            raise ScalingError(
                f"{path}, row {row + 2}: {name} {text!r} is not a number: correct or empty it"
            ) from None
    return out


def clean(curve: Curve) -> Curve:
    """The runs to fit: sorted, without missing and repeated ones.

    Raises:
        ScalingError: for values that cannot be errors.
    """
    runs = np.array([curve.sizes, curve.errors, curve.standard_errors], dtype=np.float64)
    notes, dropped = list(curve.notes), list(curve.dropped)
    absent = np.isnan(runs[1])
    if absent.any():
        notes.append(f"{absent.sum()} missing runs (NaN) left out")
        dropped.append(f"missing value at {', '.join(f'{n:,.0f}' for n in runs[0, absent])}")
        runs = runs[:, ~absent]
    if not np.isfinite(runs[1]).all() or (runs[1] < 0).any():
        raise ScalingError("values must be errors, finite and not negative (lower is better)")
    if (runs[2] < 0).any() or np.isinf(runs[2]).any():
        raise ScalingError("standard errors must be finite and not negative: empty unknown ones")
    if not curve.chance > 0:
        raise ScalingError(f"chance {curve.chance:g}: give the positive error of chance")
    exact = int((runs[2] == 0).sum())
    if exact:
        notes.append(f"{exact} standard errors of zero taken as unknown")
    runs[2] = np.nan_to_num(runs[2])
    notes += _unit_notes(*runs[1:])
    distinct = np.unique(runs, axis=1)
    if distinct.shape[1] < runs.shape[1]:
        notes.append(f"{runs.shape[1] - distinct.shape[1]} repeated rows left out")
        dropped.append(notes[-1])
    zero = distinct[1] == 0
    if zero.any():
        if zero.all():
            raise ScalingError("all errors are zero: there is no law to fit")
        least = min(float(distinct[1][~zero].min()) / 2, RESOLUTION)
        distinct[1][zero] = distinct[2][zero] = least
        notes.append(f"{zero.sum()} errors of zero taken as {least:.3g}, give or take as much")
    worse = int((distinct[1] > curve.chance).sum())
    if worse:
        notes.append(f"{worse} runs worse than chance")
    if distinct.shape[1] > MOST_RUNS:
        notes.append(f"{distinct.shape[1]} runs merged to at most {MOST_RUNS} by size")
        distinct = _merged(distinct)
    sizes, errors, noise = distinct.tolist()
    return replace(
        curve, sizes=sizes, errors=errors, standard_errors=noise, notes=notes, dropped=dropped
    )


def _unit_notes(errors: Array, standard_errors: Array) -> list[str]:
    """Notes on values that look like two units in one curve, but need not be.

    Raises:
        ScalingError: if they can be nothing else.
    """
    notes = []
    if errors.size and np.median(standard_errors - errors) > 0:
        raise ScalingError(
            "most standard errors are larger than the values: give both in the same unit"
        )
    if (wide := int(((standard_errors > errors) & (errors > 0)).sum())) > 0:
        notes.append(f"{wide} standard errors larger than their values")
    parts = errors <= 1
    if parts.any() and not parts.all() and errors[~parts].min() > PER_CENT * errors[parts].max():
        found = (
            f"values of {errors[~parts].min():g} and more among values of at most "
            f"{errors[parts].max():g}"
        )
        low, high = errors[parts].min() / 2, errors[parts].max() * 2
        if ((errors[~parts] / 100 >= low) & (errors[~parts] / 100 <= high)).all():
            raise ScalingError(f"{found}, as per cent among fractions: give all in one unit")
        notes.append(f"{found}: are all in one unit?")
    return notes


def _merged(runs: Array) -> Array:
    """Geometric means of the runs in MOST_RUNS even bins of log size."""
    log_size, log_error = np.log(runs[:2])
    edges = np.linspace(log_size.min(), log_size.max(), MOST_RUNS + 1)
    places = np.clip(np.searchsorted(edges, log_size, side="right") - 1, 0, MOST_RUNS - 1)
    _, at = np.unique(places, return_inverse=True)
    count = np.bincount(at)
    size, error = (np.exp(np.bincount(at, values) / count) for values in (log_size, log_error))
    relative = np.sqrt(np.bincount(at, (runs[2] / runs[1]) ** 2)) / count
    return np.array([size, error, relative * error])


def fit_curve(curve: Curve) -> Fit:
    """Fit a cleaned curve, and draw it as far as its questions reach.

    Raises:
        ScalingError: with fewer than three sizes.
    """
    largest = max(curve.sizes, default=1.0)
    asked = [size for size, _ in curve.questions if size is not None]
    return fit(
        curve.sizes,
        curve.errors,
        standard_errors=curve.standard_errors,
        cap=max([curve.chance, *curve.errors]),
        horizon=max([2 * largest, *asked]) / largest,
        count=COUNT,
    )


@dataclass(frozen=True)
class Answer:
    """Answers to a curve's questions.

    Attributes:
        rows: of PREDICTIONS_SCHEMA.
        draws: errors [DRAWS, rows]; [0, rows] if the curve cannot be fitted.
        report: what to know about the fit, line by line.
    """

    rows: list[dict[str, Any]]
    draws: Array
    report: list[str]

    @property
    def refused(self) -> bool:
        """Whether the curve could not be fitted."""
        return self.report[0].startswith("not fitted")


def answer(curve: Curve, checked: bool = False, form: str | None = None) -> Answer:
    """Answer a curve's questions.

    For a curve that cannot be fitted, rows have no numbers and a note that says why.

    Args:
        curve: the curve.
        checked: whether to check the fit by fitting parts of the runs, which takes three times as
            long.
        form: a single law of this form by least squares, without intervals (`least_squares`).
    """
    with threadpool_limits(1):
        return _answer(curve, checked, form)


def _answer(curve: Curve, checked: bool, form: str | None) -> Answer:
    try:
        curve = clean(curve)
        if form is not None:
            return _answer_by_law(curve, form)
        fitted = fit_curve(curve)
    except ScalingError as error:
        rows = [
            {"curve": curve.name, "size": size, "target": goal, "note": f"not fitted: {error}"}
            for size, goal in curve.questions
        ]
        return Answer(rows, np.empty((0, len(rows))), [f"not fitted: {error}"])
    asked = [float("nan") if size is None else size for size, _ in curve.questions]
    draws, centre = fitted.ensemble.errors(asked), fitted.ensemble.centre(asked)
    notes = "; ".join(curve.notes + fit_notes(fitted))
    rows = []
    for place, (size, goal) in enumerate(curve.questions):
        row: dict[str, Any] = {"curve": curve.name, "size": size, "target": goal, "note": notes}
        if size is not None:
            values = np.quantile(draws[:, place], list(LEVELS.values())).tolist()
            row |= {"median": float(centre[place])} | dict(zip(LEVELS, values, strict=True))
        if goal is not None:
            row |= _reached(fitted, goal, curve)
            row["note"] = "; ".join(filter(None, (row["note"], row.pop("remark", ""))))
        rows.append(row)
    return Answer(rows, draws[:: COUNT // DRAWS], _report(curve, fitted, notes, checked))


def _answer_by_law(curve: Curve, form: str) -> Answer:
    """Answers from a single law: no draws, no intervals, no crossovers."""
    law = fit_law(form, curve.sizes, curve.errors)
    sizes = len(set(curve.sizes))
    doubt = f"{form} cannot be identified: {sizes} sizes for {len(law.parameters)} parameters"
    notes = [*curve.notes, f"{form} by least squares: no interval"]
    notes += [] if law.determined else [doubt]
    rows = [
        {"curve": curve.name, "size": size, "target": goal, "note": "; ".join(notes)}
        | ({} if size is None else {"median": min(float(law.errors(size)), curve.chance)})
        for size, goal in curve.questions
    ]
    values = ", ".join(f"{name} {value:.4g}" for name, value in law.parameters.items())
    report = [
        f"{sizes} sizes, {len(curve.sizes)} runs; {'; '.join(notes)}",
        f"{values} (u = n / {law.largest:,.0f}; a, c, d and span in logs, relative to the error "
        "there)",
        f"root mean square log residual {np.sqrt(law.loss):.2g}, weighted by (n / largest)^"
        f"{RECENCY:g}; {law.agreeing} of {law.starts} starts agree",
    ]
    return Answer(rows, np.empty((0, len(rows))), report)


def _report(curve: Curve, fitted: Fit, notes: str, checked: bool) -> list[str]:
    forms = ", ".join(f"{form} {share:.2f}" for form, share in fitted.probability.items())
    known = sum(error > 0 for error in curve.standard_errors)
    lines = [
        f"{len(fitted.sizes)} sizes, {len(curve.sizes)} runs; {notes or 'no remarks'}",
        f"forms: {forms}; probability of a falling error {fitted.rises:.3f}",
        f"noise: seed variance estimated, standard errors of {known} runs given, independent "
        "between runs",
        dropped_line(curve.dropped),
        *identification_lines(fitted),
    ]
    if not checked:
        return lines
    sizes, errors = np.array(curve.sizes), np.array(curve.errors)

    def refit(keep: Array) -> Fit:
        parts = (curve.sizes, curve.errors, curve.standard_errors)
        kept = [[v for v, k in zip(part, keep, strict=True) if k] for part in parts]
        return fit_curve(replace(curve, sizes=kept[0], errors=kept[1], standard_errors=kept[2]))

    return lines + diagnose(fitted, sizes, errors, refit).lines()


def _reached(fitted: Fit, goal: float, curve: Curve) -> dict[str, Any]:
    """The size at which the curve reaches an error level, or the end beyond which it does.

    A level outside the metric's range gets a `remark` instead of an answer.
    """
    most = min(curve.chance, 1.0 if max(curve.errors) <= 1 else np.inf)
    if goal > max([most, *curve.errors]):
        return {"remark": f"target outside of the metric's range, errors of 0 to {most:g}"}
    if goal == 0:
        return {"censored": "never"}
    smallest, largest = float(fitted.sizes[0]), float(fitted.sizes[-1])
    sizes = crossing_sizes(fitted.ensemble, np.full(COUNT, goal), smallest)
    place, size, lower, upper = locate(sizes, smallest, largest, 0.9)
    return {
        "crossover": size,
        "crossover_lo90": lower,
        "crossover_hi90": upper,
        "censored": None if place == "within" else place,
    }


def fit_notes(fitted: Fit, tail: float = 0.05) -> list[str]:
    """What the data cannot identify, in words."""
    if tail <= fitted.rises <= 1 - tail:
        return ["flat: no trend identified"]
    notes = []
    if fitted.rises < tail:
        notes.append("the error rises with size (if higher is better, give 1 - value)")
    return notes + (["floor not identified"] if fitted.floor_width(tail) > WIDE_FLOOR else [])


def answer_all(
    curves: Iterable[Curve],
    jobs: int | None = None,
    checked: bool = False,
    form: str | None = None,
) -> list[Answer]:
    """Answer all curves in parallel; the result does not depend on the number of processes.

    Args:
        curves: the curves.
        jobs: processes; by default one per available core.
        checked: whether to check each fit by fitting parts of its runs.
        form: as for `answer`.
    """
    given = list(curves)
    jobs = min(jobs or len(os.sched_getaffinity(0)), max(len(given) // 16, 1))
    if jobs > 1:
        # Fresh processes, since a fork would copy the locks of polars' threads.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            return list(pool.map(partial(answer, checked=checked, form=form), given, chunksize=8))
    return [answer(curve, checked, form) for curve in given]


def predictions_table(answers: Iterable[Answer]) -> pl.DataFrame:
    """Rows of PREDICTIONS_SCHEMA, in the order of curves and questions."""
    return pl.DataFrame([row for one in answers for row in one.rows], schema=PREDICTIONS_SCHEMA)


def draws_table(answers: Iterable[Answer]) -> pl.DataFrame:
    """Rows of DRAWS_SCHEMA, DRAWS for each predicted row."""
    parts = [
        pl.DataFrame(
            {
                "curve": [row["curve"]] * DRAWS,
                "size": [row["size"]] * DRAWS,
                "draw": np.arange(DRAWS),
                "value": one.draws[:, place],
            },
            schema=DRAWS_SCHEMA,
        )
        for one in answers
        for place, row in enumerate(one.rows)
        if row["size"] is not None and len(one.draws)
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=DRAWS_SCHEMA)
