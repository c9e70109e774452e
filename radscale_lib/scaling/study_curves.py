"""The curves of a study: the runs of one arm on one task, read from the scores table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.scaling.diagnostics import Diagnostics, diagnose
from radscale_lib.scaling.errors import ScalingError, to_error
from radscale_lib.scaling.fit import Fit, fit
from radscale_lib.scaling.laws import Array

DRAWS = 10_000
"""Number of curves drawn from each fit, large since a study's claims depend on the tails."""
LEAST_RESAMPLES = 20
"""A curve with fewer defined resamples is treated as having none."""


@dataclass(frozen=True)
class StudyCurve:
    """The runs of one arm on one task, as errors, with the draws shared with the baseline.

    Attributes:
        nominal: size of each run, as the study names it.
        images: number of unique images from which the runs of that size learnt, averaged over
            seeds.
        errors: of the runs.
        seeds: of the runs.
        resamples: which bootstrap draws of the test patients are defined for all runs.
        draws: errors at those draws, [resamples, runs]; None if there are none.
        baseline: error of the open weights; None without any.
        baseline_draws: its errors at the same draws; None without any.
        resolution: smallest possible error.
    """

    nominal: Array
    images: Array
    errors: Array
    seeds: Array
    resamples: NDArray[np.bool_] | None
    draws: Array | None
    baseline: float | None
    baseline_draws: Array | None
    resolution: float

    @classmethod
    def read(cls, rows: pl.DataFrame, baseline: pl.DataFrame) -> "StudyCurve":
        """Take macro rows of the scores table.

        Args:
            rows: the arm's runs.
            baseline: one row, or none.

        Raises:
            ScalingError: without runs, or with a value outside [0, 1].
        """
        if not len(rows):
            raise ScalingError("no runs")
        # Half a case: a perfect score on a small test set does not mean an error of zero.
        resolution = 0.5 / max(cast(int, rows["cases"].max()), 1)
        runs = len(rows)
        draws = resampled(pl.concat([rows, baseline]))
        if _defined(draws) is None:
            # If the baseline has no draws, the runs keep theirs.
            draws = resampled(rows)
        kept = _defined(draws)
        errors = None if draws is None or kept is None else to_error(draws[kept], resolution)
        level = to_error(baseline["value"].to_numpy(), resolution) if len(baseline) else None
        return cls(
            nominal=rows["size"].to_numpy().astype(np.float64),
            images=images_learnt(rows),
            errors=to_error(rows["value"].to_numpy(), resolution),
            seeds=rows["seed"].to_numpy(),
            resamples=kept,
            draws=None if errors is None else errors[:, :runs],
            baseline=None if level is None else float(level[0]),
            baseline_draws=errors[:, runs]
            if errors is not None and errors.shape[1] > runs
            else None,
            resolution=resolution,
        )

    @property
    def worst(self) -> float:
        """The largest observed error, which may be worse than chance."""
        return max(float(self.errors.max()), self.baseline or 0.0)

    @cached_property
    def images_at(self) -> dict[float, float]:
        """Number of images learnt from, by nominal size, ascending."""
        pairs = sorted(set(zip(self.nominal.tolist(), self.images.tolist(), strict=True)))
        return dict(pairs)

    @property
    def runs(self) -> set[tuple[int, int]]:
        """Nominal size and seed of each run."""
        return {(int(n), int(seed)) for n, seed in zip(self.nominal, self.seeds, strict=True)}

    def fit(self, options: dict[str, Any]) -> Fit:
        """The fit of all runs."""
        return fit(
            self.images, self.errors, draws=self.draws, seeds=self.seeds, count=DRAWS, **options
        )

    def diagnose(self, fitted: Fit, options: dict[str, Any]) -> Diagnostics:
        """Checks of the fit of all runs."""

        def refit(keep: Array) -> Fit:
            draws = None if self.draws is None else self.draws[:, keep]
            parts = (part[keep] for part in (self.images, self.errors, self.seeds))
            size, error, seeds = parts
            return fit(size, error, draws=draws, seeds=seeds, **options)

        return diagnose(fitted, self.images, self.errors, refit)

    def baseline_level(self, fitted: Fit) -> Array | None:
        """Error of the baseline at each draw of the fit, paired by resample; None without one."""
        if self.baseline is None:
            return None
        return level_draws(self.baseline, self.baseline_draws, fitted.ensemble.resample)

    @property
    def unit(self) -> str:
        """What was resampled, in words."""
        if self.draws is None:
            return "no resamples: the intervals hold seeds and the law's misfit alone"
        return (
            f"resampled: test patients, {len(self.draws)} draws, jointly over {self.errors.size} "
            f"runs{' and the baseline' if self.baseline_draws is not None else ''}"
        )


def images_learnt(rows: pl.DataFrame) -> Array:
    """Number of unique images of each run, averaged over the seeds of its size.

    From the column `images` of the scores, or else the nominal size. Averaged, because the runs of
    a size are one point of the curve.
    """
    nominal = rows["size"].to_numpy().astype(np.float64)
    if "images" not in rows.columns:
        return nominal
    known = rows["images"].cast(pl.Float64).to_numpy()
    images = np.where(np.isfinite(known) & (known > 0), known, nominal)
    for size in np.unique(nominal):
        images[nominal == size] = images[nominal == size].mean()
    return images


def resampled(rows: pl.DataFrame) -> Array | None:
    """Metric at each bootstrap draw, [resamples, runs]; None if a run has none."""
    if rows["resamples"].null_count() or rows["resamples"].list.len().n_unique() != 1:
        return None
    return np.array(rows["resamples"].to_list(), dtype=np.float64).T


def level_draws(level: float, draws: Array | None, resample: NDArray[np.int64]) -> Array:
    """An error at each draw of a fit: its value, shifted like its bootstrap draws."""
    if draws is None:
        return np.full(resample.size, level)
    logs = np.log(draws)
    return np.asarray(level * np.exp((logs - logs.mean())[resample]))


def _defined(draws: Array | None) -> NDArray[np.bool_] | None:
    """Which draws are defined for all runs; None if too few are."""
    if draws is None:
        return None
    kept: NDArray[np.bool_] = np.asarray(np.isfinite(draws).all(axis=1))
    return kept if kept.sum() >= LEAST_RESAMPLES else None
