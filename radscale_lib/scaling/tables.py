"""Turn a study's scores into its tables of fits and claims (docs/reference/data-contracts.md)."""

from collections.abc import Container, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from radscale_lib.scaling.claims import common_sizes, unequal
from radscale_lib.scaling.compare import compare
from radscale_lib.scaling.course import Course, about
from radscale_lib.scaling.crossover import Crossover, crossover, label_crossover
from radscale_lib.scaling.diagnostics import (
    Diagnostics,
    dropped_line,
    identification_lines,
)
from radscale_lib.scaling.ensemble import Ensemble, centre
from radscale_lib.scaling.fit import WIDE_FLOOR, Fit
from radscale_lib.scaling.laws import Array
from radscale_lib.scaling.study_fits import FittedArm, TaskFits, fit_tasks
from radscale_lib.scaling.verdicts import decided, undecided_labels, verdicts
from radscale_lib.scaling.words import between, percent
from radscale_lib.study import Study

_POINT = pl.Struct(dict.fromkeys(("size", "value", "lower", "upper"), pl.Float64))


def _schema(*columns: tuple[Any, str]) -> pl.Schema:
    """A schema from (type, space-separated names) pairs."""
    return pl.Schema({name: dtype for dtype, names in columns for name in names.split()})


FITS_SCHEMA = _schema(
    (pl.String, "arm task head metric form"),
    (pl.String, "trend"),
    (pl.Boolean, "identified chosen"),
    (pl.Int64, "sizes runs runs_expected"),
    (pl.Float64, "a a_lower a_upper b b_lower b_upper c c_lower c_upper d d_lower d_upper"),
    (pl.Float64, "probability rises change change_lower change_upper gain gain_lower gain_upper"),
    (pl.Float64, "elasticity elasticity_lower elasticity_upper"),
    (pl.Float64, "loo_error loo_error_constant loo_error_line"),
    (pl.List(_POINT), "curve"),
    (pl.Float64, "confidence"),
    (pl.String, "note"),
    (pl.List(pl.String), "diagnostics"),
)
CROSSOVERS_SCHEMA = _schema(
    (pl.String, "arm task head metric baseline"),
    (pl.Float64, "baseline_value crossover crossover_lower crossover_upper"),
    (pl.String, "state"),
    (pl.Float64, "ahead difference difference_lower difference_upper"),
    (pl.String, "text"),
)
COMPARISONS_SCHEMA = _schema(
    (pl.String, "arm other task head metric"),
    (pl.Float64, "size"),
    (pl.Boolean, "studied"),
    (pl.Float64, "images other_images"),
    (pl.Boolean, "unequal"),
    (pl.Float64, "ahead difference difference_lower difference_upper"),
    (pl.Float64, "slope slope_lower slope_upper"),
)
LABEL_FITS_SCHEMA = _schema(
    (pl.String, "arm task head target metric"),
    (pl.Int64, "positives runs"),
    (pl.Float64, "own rises change change_lower change_upper gain gain_lower gain_upper"),
    (pl.List(_POINT), "curve"),
    (pl.Float64, "confidence"),
    (pl.String, "baseline"),
    (pl.Float64, "baseline_value crossover crossover_lower crossover_upper"),
    (pl.String, "state"),
    (pl.Float64, "ahead difference difference_lower difference_upper"),
    (pl.String, "text"),
)


SIZES = 41
"""Number of sizes at which label crossovers are searched; curves are nearly straight in between."""
NO_TREND = "no trend identified"
TRENDS = {"supported": "rises", "contradicted": "falls", "undecided": NO_TREND}
"""The trend of a curve, by the study's verdict on whether it rises."""


class Tables(NamedTuple):
    """The results of a study's fits, table by table."""

    fits: pl.DataFrame
    crossovers: pl.DataFrame
    comparisons: pl.DataFrame
    label_fits: pl.DataFrame
    verdicts: pl.DataFrame


def fit_study(study: Study, scores: pl.DataFrame) -> Tables:
    """Fit every arm on every task, and judge every claim.

    Args:
        study: names the arms, tasks, metrics, forms, claims and the level of intervals.
        scores: the study's scores table.
    """
    tasks = fit_tasks(study, scores)
    judged = verdicts(study, tasks)
    trends, overtaken = decided(judged, "rises"), decided(judged, "overtakes")
    open_labels = undecided_labels(judged, "overtakes")
    fits: list[dict[str, Any]] = []
    crossovers: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for of_task in tasks:
        drawn = study.head_of(of_task.task)
        names = {"task": of_task.task, "head": drawn, "metric": of_task.metric}
        for name in study.arms:
            arm, key = of_task.arms.get(name), (name, of_task.task)
            head = _head(study, of_task, name)
            if arm is None:
                unfitted = {"form": "constant", "identified": False, "chosen": False}
                fits.append(head | unfitted | {"note": of_task.refused[name]})
                continue
            fits += [head | row for row in _fit_rows(study, arm, trends[key])]
            decided_here = overtaken.get(key) != "undecided"
            for row in _crossover_rows(study, of_task, arm, decided_here):
                crossovers.append({"arm": name} | names | row)
            labels += [names | row for row in _label_rows(study, of_task, arm, open_labels)]
        comparisons += [names | row for row in _comparison_rows(of_task, study)]
    return Tables(
        pl.DataFrame(fits, schema=FITS_SCHEMA),
        pl.DataFrame(crossovers, schema=CROSSOVERS_SCHEMA),
        pl.DataFrame(comparisons, schema=COMPARISONS_SCHEMA),
        pl.DataFrame(labels, schema=LABEL_FITS_SCHEMA),
        judged,
    )


def _head(study: Study, of_task: TaskFits, arm: str) -> dict[str, Any]:
    rows = _runs(of_task, arm)
    return {
        "arm": arm,
        "task": of_task.task,
        "head": study.head_of(of_task.task),
        "metric": of_task.metric,
        "sizes": rows["size"].n_unique(),
        "runs": len(rows),
        "runs_expected": sum(run.arm == arm for run in study.pretraining_runs),
        "confidence": study.scaling.confidence,
    }


def _runs(of_task: TaskFits, arm: str) -> pl.DataFrame:
    return of_task.macro.filter((pl.col("arm") == arm) & (pl.col("size") > 0))


def _comparison_rows(of_task: TaskFits, study: Study) -> list[dict[str, Any]]:
    """Rows of the comparisons table of one task: one per pair of arms and size."""
    rows: list[dict[str, Any]] = []
    for one, other in combinations(of_task.arms.values(), 2):
        first, second = one.fit.ensemble, other.fit.ensemble
        nominal = common_sizes(one, other)
        if not nominal or not np.array_equal(first.resample, second.resample):
            continue
        beyond = study.scaling.horizon * max(first.largest, second.largest)
        left = [*(one.curve.images_at[size] for size in nominal), beyond]
        right = [*(other.curve.images_at[size] for size in nominal), beyond]
        found = compare(first, second, left, study.scaling.confidence, right)
        slope = dict(zip(("slope", "slope_lower", "slope_upper"), found.slope, strict=True))
        for size, images, beside, ahead, (value, lower, upper) in zip(
            [*nominal, beyond], left, right, found.ahead, found.difference, strict=True
        ):
            rows.append(
                {
                    **{"arm": one.arm, "other": other.arm, "size": size},
                    **{"studied": size in nominal, "images": images, "other_images": beside},
                    **{"unequal": unequal(images, beside), "ahead": ahead, "difference": value},
                    **{"difference_lower": lower, "difference_upper": upper},
                    **slope,
                }
            )
    return rows


def _fit_rows(study: Study, arm: FittedArm, verdict: str) -> list[dict[str, Any]]:
    """Rows of the fits table of one arm on one task: one per form.

    Columns that do not depend on the form are the same in all rows, above all the curve, which is
    the average over forms.
    """
    fitted, tail, course = arm.fit, arm.tail, arm.course
    checks = arm.curve.diagnose(fitted, arm.options)
    chosen = max(fitted.probability, key=lambda form: fitted.probability[form])
    elasticity = fitted.ensemble.elasticity
    shared = {
        "trend": TRENDS[verdict],
        "identified": verdict == "supported",
        "rises": course.rises,
        **_interval("change", course.change),
        **_interval("gain", course.gain),
        **_interval("elasticity", about(float(elasticity.mean()), elasticity, tail)),
        "loo_error": checks.held_out,
        "loo_error_constant": checks.held_out_last,
        "loo_error_line": checks.held_out_line,
        "curve": _points(fitted.ensemble, _grid(arm), tail),
    }
    return [
        shared
        | _parameters(fitted, form, tail)
        | {
            "form": form,
            "chosen": form == chosen,
            "probability": fitted.probability[form],
            "note": _note(fitted, course, verdict, tail, checks) if form == chosen else "",
            "diagnostics": _diagnostics(study, arm, checks) if form == chosen else [],
        }
        for form in fitted.laws
    ]


def _diagnostics(study: Study, arm: FittedArm, checks: Diagnostics) -> list[str]:
    dropped = [
        f"no score of seed {run.seed} at {run.size:,}"
        for run in study.pretraining_runs
        if run.arm == arm.arm and (run.size, run.seed) not in arm.curve.runs
    ]
    return [
        arm.curve.unit,
        dropped_line(dropped),
        *identification_lines(arm.fit, arm.tail),
        *checks.lines(),
    ]


def _interval(name: str, found: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_lower", f"{name}_upper"), found, strict=True))


def _parameters(fitted: Fit, form: str, tail: float) -> dict[str, float]:
    """a, b, c and d of a form's law, with intervals given that form."""
    law = fitted.laws[form]
    out: dict[str, float] = {}
    for name, draws in zip("abcd", fitted.ensembles[form].parameters, strict=True):
        out |= _interval(name, about(getattr(law, name), draws, tail))
    return out


def _crossover_rows(
    study: Study, of_task: TaskFits, arm: FittedArm, sure: bool
) -> Iterator[dict[str, Any]]:
    """Rows of the crossovers of an arm with its open weights and with other baselines.

    `sure` says whether the study's verdict is that it overtakes its open weights. Claims about
    other baselines are not among those for which a study corrects: they rest on this curve alone.
    """
    curve, level = arm.curve, arm.curve.baseline_level(arm.fit)
    if curve.baseline is not None and level is not None:
        noise = curve.baseline_draws is not None
        yield _crossover_row(study, arm, arm.baseline, (curve.baseline, level), noise, sure)
    for other in study.baselines:
        level, value = of_task.level(other, arm), of_task.value(other)
        if level is not None and value is not None and other != arm.baseline:
            noise = bool(np.ptp(level))
            yield _crossover_row(study, arm, other, (1 - value, level), noise, True)


def _crossover_row(
    study: Study, arm: FittedArm, baseline: str, level: tuple[float, Array], noise: bool, sure: bool
) -> dict[str, Any]:
    known, draws = level
    smallest, confidence = float(arm.curve.images.min()), study.scaling.confidence
    found = crossover(arm.fit.ensemble, draws, smallest, confidence, known=known, decided=sure)
    unknown = "" if noise else "; the baseline's own noise is not known"
    return {"baseline": baseline, "baseline_value": 1 - known} | _crossed(found, unknown)


def _crossed(found: Crossover, unknown: str = "") -> dict[str, Any]:
    return {
        "crossover": found.size,
        "crossover_lower": found.lower,
        "crossover_upper": found.upper,
        "state": found.state,
        "ahead": found.ahead,
        **_interval("difference", found.difference),
        "text": found.text + unknown,
    }


def _grid(arm: FittedArm) -> Array:
    """Sizes at which a curve is reported: its own, and evenly spaced ones up to the horizon."""
    smallest, _, horizon = arm.ends
    even = np.geomspace(smallest, horizon, 41).round(6)
    return np.union1d(even, np.append(arm.fit.sizes, horizon))


def _points(ensemble: Ensemble, grid: Array, tail: float) -> list[dict[str, float]]:
    """The centre of a curve with its band, in the metric's own direction."""
    logs = ensemble.log_errors(grid)
    low, high = np.minimum(np.exp(np.quantile(logs, [tail, 1 - tail], axis=0)), ensemble.cap)
    return _band(grid, centre(logs, ensemble.cap), low, high)


def _band(grid: Array, drawn: Array, low: Array, high: Array) -> list[dict[str, float]]:
    return [
        {"size": n, "value": 1 - v, "lower": 1 - max(h, v), "upper": 1 - min(lo, v)}
        for n, v, lo, h in zip(
            grid.tolist(), drawn.tolist(), low.tolist(), high.tolist(), strict=True
        )
    ]


def _label_rows(
    study: Study, of_task: TaskFits, arm: FittedArm, undecided: Container[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """Rows of the labels table of one arm on one task.

    The crossover of a label with the open weights is given only if the study's verdict is that it
    overtakes them: if its arm, task and name are not among the `undecided`.
    """
    if arm.labels is None:
        return []
    grid = np.append(arm.fit.sizes, arm.ends[2])
    logs = arm.labels.log_errors(arm.fit.ensemble, grid)
    errors = np.minimum(np.exp(logs), arm.label_cap)
    low, high = np.quantile(errors, [arm.tail, 1 - arm.tail], axis=0)
    drawn = centre(logs, arm.label_cap)
    crossed = _label_crossovers(study, of_task, arm, undecided)
    return [
        {
            "arm": arm.arm,
            "target": label,
            "positives": of_task.positives[label],
            "runs": arm.curve.errors.size,
            "own": float(arm.labels.own[j]),
            "rises": course.rises,
            **_interval("change", course.change),
            **_interval("gain", course.gain),
            "curve": _band(grid, drawn[j], low[j], high[j]),
            "confidence": study.scaling.confidence,
        }
        | crossed.get(label, {})
        for j, (label, course) in enumerate(zip(arm.labels.names, arm.label_courses, strict=True))
    ]


def _label_crossovers(
    study: Study, of_task: TaskFits, arm: FittedArm, undecided: Container[tuple[str, str, str]]
) -> dict[str, dict[str, Any]]:
    """Crossover of each label with the arm's open weights; empty if these have no score."""
    if arm.labels is None or arm.label_levels is None:
        return {}
    sizes = np.geomspace(arm.curve.images.min(), arm.fit.ensemble.largest, SIZES)
    logs = arm.labels.log_errors(arm.fit.ensemble, sizes)
    rows = {}
    for j, label in enumerate(arm.labels.names):
        level = arm.label_levels[:, j]
        found = label_crossover(
            sizes,
            logs[:, j],
            level,
            arm.label_cap,
            study.scaling.confidence,
            decided=(arm.arm, of_task.task, label) not in undecided,
        )
        value = 1 - float(centre(np.log(level), np.inf))
        rows[label] = {"baseline": arm.baseline, "baseline_value": value} | _crossed(found)
    return rows


def _note(fitted: Fit, course: Course, verdict: str, tail: float, checks: Diagnostics) -> str:
    """What a reader must know about the fit, in words."""
    change, notes = course.change, []
    if verdict == "undecided":
        notes.append(f"{NO_TREND}: {between(change[1], change[2])}")
        if course.moves:
            side, share = (
                ("rise", course.rises) if course.rises > 0.5 else ("fall", 1 - course.rises)
            )
            notes.append(f"taken alone, a {side} with a probability of {percent(share)}")
    if verdict == "contradicted":
        notes.append("falls with size")
    if verdict != "undecided" and change[1] <= 0 <= change[2]:
        notes.append(
            "a trend over all sizes; the change from the smallest to the largest may be zero"
        )
    if fitted.floor_width(tail) > WIDE_FLOOR:
        notes.append("floor not identified")
    if checks.held_out is not None and checks.held_out >= checks.held_out_last:
        notes.append("the largest size was predicted no better than by the size before it")
    return "; ".join(notes)
