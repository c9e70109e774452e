"""From the study's scores to its fits and crossovers tables (docs/data-contracts.md)."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast

import numpy as np
import polars as pl

from radscale_lib.digests import text_number
from radscale_lib.scaling.compare import compare
from radscale_lib.scaling.crossover import crossover
from radscale_lib.scaling.diagnostics import (
    Diagnostics,
    diagnose,
    dropped_line,
    identification_lines,
)
from radscale_lib.scaling.ensemble import Ensemble, Interval, interval
from radscale_lib.scaling.errors import ScalingError, chance_error, to_error
from radscale_lib.scaling.fit import EVIDENCE, WIDE_FLOOR, Fit, fit
from radscale_lib.scaling.laws import FORMS, Array
from radscale_lib.study import Study

_POINT = pl.Struct(dict.fromkeys(("size", "value", "lower", "upper"), pl.Float64))


def _schema(*columns: tuple[Any, str]) -> pl.Schema:
    """A schema from (type, space-separated names) pairs."""
    return pl.Schema({name: dtype for dtype, names in columns for name in names.split()})


FITS_SCHEMA = _schema(
    (pl.String, "arm task metric form"),
    (pl.Boolean, "identified chosen"),
    (pl.Int64, "sizes runs runs_expected"),
    (pl.Float64, "a a_lower a_upper b b_lower b_upper c c_lower c_upper d d_lower d_upper"),
    (pl.Float64, "probability rises change change_lower change_upper gain gain_lower gain_upper"),
    (pl.Float64, "loo_error loo_error_constant loo_error_line"),
    (pl.List(_POINT), "curve"),
    (pl.Float64, "confidence"),
    (pl.String, "note"),
    (pl.List(pl.String), "diagnostics"),
)
CROSSOVERS_SCHEMA = _schema(
    (pl.String, "arm task metric baseline"),
    (pl.Float64, "baseline_value size size_lower size_upper"),
    (pl.String, "state"),
    (pl.Float64, "ahead difference difference_lower difference_upper"),
    (pl.String, "text"),
)
COMPARISONS_SCHEMA = _schema(
    (pl.String, "arm other task metric"),
    (pl.Float64, "size"),
    (pl.Boolean, "studied"),
    (pl.Float64, "ahead difference difference_lower difference_upper"),
    (pl.Float64, "slope slope_lower slope_upper"),
)


@dataclass(frozen=True)
class _Curve:
    """The runs of one arm on one task, as errors, with the draws they share with the baseline."""

    sizes: Array
    errors: Array
    seeds: Array
    draws: Array | None
    baseline: float | None
    baseline_draws: Array | None

    @classmethod
    def read(cls, rows: pl.DataFrame, baseline: pl.DataFrame) -> "_Curve":
        """From macro rows of the scores table; `baseline` has one row or none."""
        if not len(rows):
            raise ScalingError("no runs")
        # Half a case: a perfect score on a small test set is no error of zero.
        resolution = 0.5 / max(cast(int, rows["cases"].max()), 1)
        runs = len(rows)
        draws = _draws(pl.concat([rows, baseline]), resolution)
        if draws is None:
            # A baseline without draws leaves the runs theirs.
            draws = _draws(rows, resolution)
        level = to_error(baseline["value"].to_numpy(), resolution) if len(baseline) else None
        return cls(
            sizes=rows["size"].to_numpy().astype(np.float64),
            errors=to_error(rows["value"].to_numpy(), resolution),
            seeds=rows["seed"].to_numpy(),
            draws=None if draws is None else draws[:, :runs],
            baseline=None if level is None else float(level[0]),
            baseline_draws=draws[:, runs] if draws is not None and draws.shape[1] > runs else None,
        )

    @property
    def worst(self) -> float:
        """The largest error seen: worse than chance is possible."""
        return max(float(self.errors.max()), self.baseline or 0.0)

    def fit(self, options: dict[str, Any]) -> Fit:
        """The fit of all runs."""
        return fit(self.sizes, self.errors, draws=self.draws, seeds=self.seeds, **options)

    def diagnose(self, fitted: Fit, options: dict[str, Any]) -> Diagnostics:
        """Checks of the fit of all runs."""

        def refit(keep: Array) -> Fit:
            draws = None if self.draws is None else self.draws[:, keep]
            parts = (part[keep] for part in (self.sizes, self.errors, self.seeds))
            size, error, seeds = parts
            return fit(size, error, draws=draws, seeds=seeds, **options)

        return diagnose(fitted, self.sizes, self.errors, refit)

    @property
    def unit(self) -> str:
        """What was resampled, in words."""
        if self.draws is None:
            return "no resamples: the intervals hold seeds and the law's misfit alone"
        return (
            f"resampled: test patients, {len(self.draws)} draws, jointly over {self.sizes.size} "
            f"runs{' and the baseline' if self.baseline_draws is not None else ''}"
        )


def _draws(rows: pl.DataFrame, resolution: float) -> Array | None:
    """Errors at each bootstrap draw, [resamples, runs]; draws undefined for a run are left out."""
    if rows["resamples"].null_count() or rows["resamples"].list.len().n_unique() != 1:
        return None
    values = np.array(rows["resamples"].to_list(), dtype=np.float64).T
    values = values[np.isfinite(values).all(axis=1)]
    return to_error(values, resolution) if len(values) >= 20 else None


def fit_study(
    study: Study, scores: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Fit every arm on every task.

    Args:
        study: names the arms, tasks, metrics, forms and the level of intervals.
        scores: the study's scores table.

    Returns:
        The fits, the crossovers and the comparisons table.
    """
    fits: list[dict[str, Any]] = []
    crossovers: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    for task, metric in study.scaling.metrics.items():
        macro = scores.filter(
            (pl.col("task") == task)
            & (pl.col("target") == "macro")
            & (pl.col("metric") == metric)
            & pl.col("value").is_not_nan()
        ).sort("arm", "size", "seed")
        cap = chance_error(metric, _prevalence(scores, task, metric))
        shared: dict[str, Any] = {
            "forms": study.scaling.forms,
            "horizon": study.scaling.horizon,
            "seed": text_number(task),
        }
        fitted_arms: dict[str, Fit] = {}
        for arm in study.arms:
            rows = macro.filter((pl.col("arm") == arm) & (pl.col("size") > 0))
            baseline = study.baseline_of(arm).arm
            head = {
                "arm": arm,
                "task": task,
                "metric": metric,
                "sizes": rows["size"].n_unique(),
                "runs": len(rows),
                "runs_expected": sum(run.arm == arm for run in study.pretraining_runs),
                "confidence": study.scaling.confidence,
            }
            try:
                curve = _Curve.read(rows, macro.filter(pl.col("arm") == baseline))
                options = shared | {
                    "cap": max(cap, curve.worst),
                    "seed_noise": _seed_noise(macro.filter(pl.col("arm") != arm)),
                    "stream": text_number(arm),
                }
                fitted = fitted_arms[arm] = curve.fit(options)
            except ScalingError as error:
                unfitted = {"form": "constant", "identified": False, "chosen": False}
                fits.append(head | unfitted | {"note": str(error)})
                continue
            fits += [
                head | row
                for row in _fit_rows(
                    curve, fitted, options, study.scaling.confidence, _dropped(study, arm, rows)
                )
            ]
            if curve.baseline is not None:
                row = _crossover_row(curve, fitted, study.scaling.confidence)
                names = {"arm": arm, "task": task, "metric": metric, "baseline": baseline}
                crossovers.append(names | row)
        names = {"task": task, "metric": metric}
        comparisons += [names | row for row in _comparison_rows(fitted_arms, study)]
    return (
        pl.DataFrame(fits, schema=FITS_SCHEMA),
        pl.DataFrame(crossovers, schema=CROSSOVERS_SCHEMA),
        pl.DataFrame(comparisons, schema=COMPARISONS_SCHEMA),
    )


def _comparison_rows(fitted: dict[str, Fit], study: Study) -> list[dict[str, Any]]:
    """Rows of the comparisons table of one task: one per pair of arms and size."""
    rows: list[dict[str, Any]] = []
    for arm, other in combinations(fitted, 2):
        one, two = fitted[arm].ensemble, fitted[other].ensemble
        studied = np.intersect1d(fitted[arm].sizes, fitted[other].sizes)
        if not studied.size or not np.array_equal(one.resample, two.resample):
            continue
        sizes = np.append(studied, study.scaling.horizon * max(one.largest, two.largest))
        found = compare(one, two, sizes, study.scaling.confidence)
        slope = dict(zip(("slope", "slope_lower", "slope_upper"), found.slope, strict=True))
        for size, ahead, (middle, lower, upper) in zip(
            sizes.tolist(), found.ahead, found.difference, strict=True
        ):
            rows.append(
                {
                    **{"arm": arm, "other": other, "size": size, "studied": size in studied},
                    **{"ahead": ahead, "difference": middle},
                    **{"difference_lower": lower, "difference_upper": upper},
                    **slope,
                }
            )
    return rows


def _prevalence(scores: pl.DataFrame, task: str, metric: str) -> float | None:
    rows = scores.filter(
        (pl.col("task") == task) & (pl.col("target") != "macro") & (pl.col("metric") == metric)
    ).unique(["target"], keep="first", maintain_order=True)
    mean = (rows["positives"] / rows["cases"]).mean() if len(rows) else None
    return float(mean) if isinstance(mean, float) and np.isfinite(mean) else None


def _dropped(study: Study, arm: str, rows: pl.DataFrame) -> list[str]:
    """Runs of an arm without a score."""
    have = set(rows.select("size", "seed").iter_rows())
    return [
        f"no score of seed {run.seed} at {run.size:,}"
        for run in study.pretraining_runs
        if run.arm == arm and (run.size, run.seed) not in have
    ]


def _seed_noise(macro: pl.DataFrame) -> tuple[float, float] | None:
    """Pooled standard deviation of log error between seeds of a size, and degrees of freedom."""
    squares, dof = 0.0, 0
    valid = macro.filter((pl.col("size") > 0) & pl.col("value").is_between(0, 1))
    for _, group in valid.group_by(["arm", "size"], maintain_order=True):
        if len(group) > 1:
            logs = np.log(to_error(group["value"].to_numpy()))
            squares += float(((logs - logs.mean()) ** 2).sum())
            dof += len(group) - 1
    return (float(np.sqrt(squares / dof)), float(dof)) if squares > 0 else None


def _fit_rows(
    curve: _Curve,
    fitted: Fit,
    options: dict[str, Any],
    confidence: float,
    dropped: list[str],
) -> list[dict[str, Any]]:
    """Rows of the fits table of one arm on one task: one per form."""
    tail = (1 - confidence) / 2
    checks = curve.diagnose(fitted, options)
    held_out, constant = _held_out(checks, curve), checks.held_out_last
    identified = fitted.rises > 1 - tail
    moves = identified or fitted.rises < tail
    chosen = _choose(fitted, held_out, moves)
    change = interval(_change(fitted, curve.sizes, moves), tail)
    if not moves:
        # The draws' quantiles may miss by a draw what the probability says.
        change = change[0], min(change[1], 0.0), max(change[2], 0.0)
    shared = {
        "identified": identified,
        "rises": fitted.rises,
        **dict(zip(("change", "change_lower", "change_upper"), change, strict=True)),
        **_with_ends("gain", _gain(fitted, options["horizon"], moves), tail),
        "loo_error_constant": constant,
        "loo_error_line": checks.held_out_line,
    }
    return [
        shared
        | _parameters(fitted, form, tail)
        | {
            "form": form,
            "chosen": form == chosen,
            "probability": fitted.probability[form],
            "loo_error": held_out[form],
            "curve": _points(fitted, form, form == chosen, curve.sizes, options["horizon"], tail),
            "note": _note(fitted, chosen, change, tail, held_out, constant)
            if form == chosen
            else "",
            "diagnostics": [
                curve.unit,
                dropped_line(dropped),
                *identification_lines(fitted, tail),
                *checks.lines(),
            ]
            if form == chosen
            else [],
        }
        for form in fitted.laws
    ]


def _held_out(checks: Diagnostics, curve: _Curve) -> dict[str, float | None]:
    """Log error of predicting the largest size from the others, by each form."""
    if checks.shorter is None:
        return dict.fromkeys(FORMS)
    largest = float(curve.sizes.max())
    truth = float(np.log(curve.errors[curve.sizes == largest]).mean())
    return {
        form: abs(float(np.log(law.errors(largest))) - truth)
        for form, law in checks.shorter.laws.items()
    }


def _parameters(fitted: Fit, form: str, tail: float) -> dict[str, float]:
    """a, b, c and d of a form's law, with intervals given that form."""
    law = fitted.laws[form]
    out: dict[str, float] = {}
    for name, draws in zip("abcd", fitted.ensembles[form].parameters, strict=True):
        value = getattr(law, name)
        lower, upper = np.quantile(draws, [tail, 1 - tail]).tolist()
        out |= {name: value, f"{name}_lower": min(lower, value), f"{name}_upper": max(upper, value)}
    return out


def _crossover_row(curve: _Curve, fitted: Fit, confidence: float) -> dict[str, Any]:
    assert curve.baseline is not None
    level = np.full(fitted.ensemble.resample.size, curve.baseline)
    if curve.baseline_draws is not None:
        logs = np.log(curve.baseline_draws)
        level = level * np.exp((logs - logs.mean())[fitted.ensemble.resample])
    found = crossover(fitted.ensemble, level, float(curve.sizes.min()), confidence)
    difference, lower, upper = found.difference
    known = "" if curve.baseline_draws is not None else "; the baseline's own noise is not known"
    return {
        "baseline_value": 1 - curve.baseline,
        "size": found.size,
        "size_lower": found.lower,
        "size_upper": found.upper,
        "state": found.state,
        "ahead": found.ahead,
        "difference": difference,
        "difference_lower": lower,
        "difference_upper": upper,
        "text": found.text + known,
    }


def _choose(fitted: Fit, held_out: dict[str, float | None], moves: bool) -> str:
    """The form that is drawn: the constant unless a trend is identified.

    Among the laws, the more probable one where the odds are clear, else the one that predicted the
    held-out largest size better.
    """
    laws = [form for form in fitted.probability if form != "constant"]
    if not moves or not laws:
        return "constant"
    ranked = sorted(laws, key=lambda form: -fitted.probability[form])
    if len(ranked) == 1 or fitted.probability[ranked[0]] > EVIDENCE * fitted.probability[ranked[1]]:
        return ranked[0]
    missing = float("inf")
    return min(ranked, key=lambda form: missing if (e := held_out[form]) is None else e)


def _with_ends(name: str, draws: Array, tail: float) -> dict[str, float]:
    """Median of draws, and their interval."""
    middle, lower, upper = interval(draws, tail)
    return {name: middle, f"{name}_lower": lower, f"{name}_upper": upper}


def _trend(fitted: Fit, moves: bool) -> Ensemble:
    """The curve whose differences between sizes are told.

    Where no trend is identified it is the plain power law that the probability of a rise rests on:
    the average over forms has few falling laws, so its changes would deny what the note says.
    """
    return fitted.ensemble if moves else fitted.trend


def _change(fitted: Fit, sizes: Array, moves: bool) -> Array:
    """Metric at the largest size minus metric at the smallest, per draw."""
    errors = _trend(fitted, moves).errors([sizes.min(), sizes.max()])
    return errors[:, 0] - errors[:, 1]


def _gain(fitted: Fit, horizon: float, moves: bool) -> Array:
    """Metric at the horizon minus metric at the largest size, per draw."""
    trend = _trend(fitted, moves)
    errors = trend.errors([trend.largest, horizon * trend.largest])
    return errors[:, 0] - errors[:, 1]


def _points(
    fitted: Fit, form: str, chosen: bool, sizes: Array, horizon: float, tail: float
) -> list[dict[str, float]]:
    """A form's curve with its interval, in the metric's own direction.

    Median and interval over the draws, of which the law is the backbone; the constant is drawn as
    the line it is. The chosen form's are the whole ensemble's, so that they hold the doubt about
    the form.
    """
    smallest, largest = float(sizes.min()), float(sizes.max())
    grid = np.union1d(
        np.geomspace(smallest, horizon * largest, 41).round(6), np.append(sizes, horizon * largest)
    )
    draws = (fitted.ensemble if chosen else fitted.ensembles[form]).errors(grid)
    low, values, high = np.quantile(draws, [tail, 0.5, 1 - tail], axis=0)
    if form == "constant":
        values = np.minimum(fitted.laws[form].errors(grid), fitted.ensemble.cap)
    return [
        {"size": n, "value": 1 - v, "lower": 1 - max(h, v), "upper": 1 - min(lo, v)}
        for n, v, lo, h in zip(
            grid.tolist(), values.tolist(), low.tolist(), high.tolist(), strict=True
        )
    ]


def _note(
    fitted: Fit,
    chosen: str,
    change: Interval,
    tail: float,
    held_out: dict[str, float | None],
    constant: float,
) -> str:
    """What a reader must know of the fit, in words."""
    if chosen == "constant":
        return "flat: no rise identified"
    notes = []
    if fitted.rises < tail:
        notes.append("falls with size")
    if change[1] <= 0 <= change[2]:
        notes.append("a trend over all sizes; between the smallest and the largest it may be nil")
    if fitted.floor_width(tail) > WIDE_FLOOR:
        notes.append("floor not identified")
    error = held_out[chosen]
    if error is not None and error >= constant:
        notes.append("the largest size was predicted no better than by the size before it")
    return "; ".join(notes)
