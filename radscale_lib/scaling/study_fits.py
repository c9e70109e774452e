"""Fit every curve of a study: arms on tasks, with their labels pooled."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from radscale_lib.digests import text_number
from radscale_lib.scaling.course import Course, course, course_of
from radscale_lib.scaling.errors import ScalingError, chance_error, to_error
from radscale_lib.scaling.fit import Fit
from radscale_lib.scaling.heads import of_head
from radscale_lib.scaling.laws import Array
from radscale_lib.scaling.pooling import LabelRuns, Labels, pool
from radscale_lib.scaling.study_curves import StudyCurve, level_draws, resampled
from radscale_lib.study import Study

MACRO = pl.col("target") == "macro"
LABELS = ~pl.col("target").is_in(["macro", "micro"])


@dataclass(frozen=True)
class FittedArm:
    """One arm on one task.

    Attributes:
        arm: its name.
        baseline: name of the open weights it starts from.
        curve: its runs.
        fit: the fit of all runs.
        options: the fit's options.
        ends: smallest size, largest size and horizon, in images.
        tail: probability beyond each end of an interval.
        labels: its labels, pooled; None without labels.
        label_levels: error of the baseline on each label, at each draw of the fit: [draws, labels];
            None without a baseline.
        label_cap: largest possible error of a label.
    """

    arm: str
    baseline: str
    curve: StudyCurve
    fit: Fit
    options: dict[str, Any]
    ends: Array
    tail: float
    labels: Labels | None = None
    label_levels: Array | None = None
    label_cap: float = 1.0

    @cached_property
    def course(self) -> Course:
        """Its course from the smallest size to the largest, and on to the horizon."""
        return course_of(self.fit.ensemble, self.fit.trend, self.fit.rises, self.ends, self.tail)

    @cached_property
    def label_logs(self) -> Array:
        """Log error of each label at each draw, at the ends: [draws, labels, 3]."""
        assert self.labels is not None
        return self.labels.log_errors(self.fit.ensemble, self.ends)

    @cached_property
    def label_courses(self) -> list[Course]:
        """The course of each label."""
        assert self.labels is not None
        trend = self.labels.log_errors(self.fit.trend, self.ends)
        return [
            course(self.label_logs[:, j], trend[:, j], self.label_cap, self.tail)
            for j in range(trend.shape[1])
        ]


@dataclass(frozen=True)
class TaskFits:
    """One task.

    Attributes:
        task: its name.
        metric: the metric that is fitted.
        arms: those that could be fitted, in the study's order.
        refused: why the others could not be fitted.
        macro: macro rows of the scores, valid ones.
        positives: positive cases of each pooled label.
    """

    task: str
    metric: str
    arms: dict[str, FittedArm]
    refused: dict[str, str]
    macro: pl.DataFrame
    positives: dict[str, int | None] = field(default_factory=dict)

    def value(self, baseline: str) -> float | None:
        """The score of the open weights; None without one."""
        rows = self.macro.filter(pl.col("arm") == baseline)
        return float(rows["value"][0]) if len(rows) else None

    def level(self, baseline: str, arm: FittedArm) -> Array | None:
        """Error of any open weights at each draw of an arm's fit; None without a score."""
        rows = self.macro.filter(pl.col("arm") == baseline)
        if not len(rows):
            return None
        resolution = arm.curve.resolution
        value = float(to_error(rows["value"].to_numpy(), resolution)[0])
        draws, kept = resampled(rows), arm.curve.resamples
        if draws is not None and kept is not None and draws.shape[0] == kept.size:
            draws = draws[kept, 0]
            if np.isfinite(draws).all():
                return level_draws(value, to_error(draws, resolution), arm.fit.ensemble.resample)
        return level_draws(value, None, arm.fit.ensemble.resample)


def fit_tasks(study: Study, scores: pl.DataFrame) -> list[TaskFits]:
    """Fit every arm on every task, and pool the labels of each task.

    Args:
        study: names the arms, tasks, metrics, forms and the level of intervals.
        scores: the study's scores table.
    """
    return [_fit_task(study, scores, task) for task in study.scaling.metrics]


def _fit_task(study: Study, scores: pl.DataFrame, task: str) -> TaskFits:
    metric = study.scaling.metrics[task]
    rows = (
        of_head(study, scores, task)
        .filter(
            (pl.col("metric") == metric)
            & pl.col("value").is_not_null()
            & pl.col("value").is_not_nan()
        )
        .sort("arm", "size", "seed", "target")
    )
    macro, by_label = rows.filter(MACRO), rows.filter(LABELS)
    cap = chance_error(metric, _prevalence(by_label))
    arms: dict[str, FittedArm] = {}
    refused: dict[str, str] = {}
    for arm in study.arms:
        runs = macro.filter((pl.col("arm") == arm) & (pl.col("size") > 0))
        baseline = study.baseline_of(arm).arm
        withheld = runs.filter(~_has_interval(runs))
        if len(withheld):
            refused[arm] = f"runs without an interval: {withheld['note'][0]}"
            continue
        try:
            curve = StudyCurve.read(runs, macro.filter(pl.col("arm") == baseline))
            options: dict[str, Any] = {
                "forms": study.scaling.forms,
                "horizon": study.scaling.horizon,
                "cap": max(cap, curve.worst),
                "seed": text_number(task),
                "seed_noise": seed_noise(macro.filter(pl.col("arm") != arm)),
                "stream": text_number(arm),
            }
            fitted = curve.fit(options)
        except ScalingError as error:
            refused[arm] = str(error)
            continue
        largest = fitted.ensemble.largest
        ends = np.array([fitted.sizes[0], largest, study.scaling.horizon * largest])
        tail = (1 - study.scaling.confidence) / 2
        arms[arm] = FittedArm(arm, baseline, curve, fitted, options, ends, tail)
    return _pooled(TaskFits(task, metric, arms, refused, macro), by_label)


def _has_interval(rows: pl.DataFrame) -> pl.Expr:
    """Whether a score has an interval: one with a note, such as `too few`, has none."""
    return pl.col("note").is_null() if "note" in rows.columns else pl.lit(True)


def _prevalence(by_label: pl.DataFrame) -> float | None:
    rows = by_label.unique(["target"], keep="first", maintain_order=True)
    mean = (rows["positives"] / rows["cases"]).mean() if len(rows) else None
    return float(mean) if isinstance(mean, float) and np.isfinite(mean) else None


def seed_noise(macro: pl.DataFrame) -> tuple[float, float] | None:
    """Pooled standard deviation of log error between seeds of a size, and degrees of freedom."""
    squares, dof = 0.0, 0
    valid = macro.filter((pl.col("size") > 0) & pl.col("value").is_between(0, 1))
    for _, group in valid.group_by(["arm", "size"], maintain_order=True):
        if len(group) > 1:
            logs = np.log(to_error(group["value"].to_numpy()))
            squares += float(((logs - logs.mean()) ** 2).sum())
            dof += len(group) - 1
    return (float(np.sqrt(squares / dof)), float(dof)) if squares > 0 else None


def _pooled(fits: TaskFits, by_label: pl.DataFrame) -> TaskFits:
    """The task with its labels pooled: those whose score has an interval in every fitted run."""
    if not fits.arms or not len(by_label):
        return fits
    wanted = sum(arm.curve.errors.size for arm in fits.arms.values())
    runs = by_label.filter(
        pl.col("arm").is_in(list(fits.arms))
        & (pl.col("size") > 0)
        & pl.col("value").is_between(0, 1)
    ).filter(_has_interval(by_label))
    counts = runs.group_by("target", maintain_order=True).agg(pl.len(), pl.col("positives").first())
    counts = counts.filter(pl.col("len") == wanted).sort("target")
    names = tuple(counts["target"])
    if not names:
        return fits
    worst = 1 - float(runs["value"].min())  # type: ignore[arg-type]
    labels = pool(
        names,
        {name: _label_runs(arm, names, runs) for name, arm in fits.arms.items()},
        (text_number(fits.task), text_number("labels")),
    )
    arms = {
        name: replace(
            arm,
            labels=labels[name],
            label_levels=_label_levels(arm, names, by_label),
            label_cap=max(arm.fit.cap, worst),
        )
        for name, arm in fits.arms.items()
    }
    positives = dict(zip(names, counts["positives"], strict=True))
    return replace(fits, arms=arms, positives=positives)


def _label_runs(arm: FittedArm, names: tuple[str, ...], runs: pl.DataFrame) -> LabelRuns:
    curve = arm.curve
    of_arm = runs.filter(pl.col("arm") == arm.arm)
    tables = [of_arm.filter(pl.col("target") == name) for name in names]
    errors = [to_error(table["value"].to_numpy(), curve.resolution) for table in tables]
    log_share = np.log(np.stack(errors, axis=1)) - np.log(curve.errors)[:, None]
    draws = [_defined_draws(table, curve) for table in tables]
    return LabelRuns(
        log_sizes=np.log(curve.images),
        log_share=log_share,
        shares=[None if one is None or curve.draws is None else one / curve.draws for one in draws],
        resample=arm.fit.ensemble.resample,
    )


def _label_levels(arm: FittedArm, names: tuple[str, ...], by_label: pl.DataFrame) -> Array | None:
    rows = by_label.filter((pl.col("arm") == arm.baseline) & (pl.col("size") == 0))
    levels = []
    for name in names:
        row = rows.filter((pl.col("target") == name) & pl.col("value").is_between(0, 1))
        if len(row) != 1:
            return None
        value = float(to_error(row["value"].to_numpy(), arm.curve.resolution)[0])
        draws = _defined_draws(row, arm.curve)
        draw = None if draws is None else draws[:, 0]
        levels.append(level_draws(value, draw, arm.fit.ensemble.resample))
    return np.stack(levels, axis=1)


def _defined_draws(rows: pl.DataFrame, curve: StudyCurve) -> Array | None:
    """Errors at the macro curve's defined draws, if they are defined for these rows too."""
    draws = resampled(rows)
    if draws is None or curve.resamples is None or draws.shape[0] != curve.resamples.size:
        return None
    draws = draws[curve.resamples]
    return to_error(draws, curve.resolution) if np.isfinite(draws).all() else None
