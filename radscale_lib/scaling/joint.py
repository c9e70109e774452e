"""A joint law in data and compute, from the intermediate encoders of runs.

    error(n, s) = B (e + (1 - e) (w (n / N)^-a + (1 - w) (s / S)^-b))

for n images and s samples seen, with N and S their largest values: B is the error there, e the
floor's share of it, w the data's share of the reducible part (Hoffmann et al. 2022, arXiv
2203.15556, eq. 2, relative to the largest run). Given a, b, e, w and the noise variances, log B is
normal. Encoders of one run share its luck, so that three of them do not count as three runs. The
exponents are identified if their posterior intervals are narrow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import least_squares

from radscale_lib.digests import text_number
from radscale_lib.scaling.errors import to_error
from radscale_lib.scaling.heads import of_head
from radscale_lib.scaling.laws import Array
from radscale_lib.study import Study

LEAST_SIZES, LEAST_SHARES = 3, 2
"""Minimum numbers of sizes, and of scored budget shares per size, for a fit."""
WIDEST = 4.0
"""The interval of an identified exponent spans at most this factor; the prior's 90 % interval spans
19."""
BOUNDS = (
    *((0.02, 4.0), (0.02, 4.0), (0.0, 1.0), (0.0, 1.0)),
    *((np.log(0.001), np.log(0.5)),) * 2,
)
"""Uniform prior ranges of a, b, e, w, and of the log standard deviations of log error: of the part
that a run's points share, and of each point's own."""
WALKERS, STEPS, THIN = 64, 600, 15
"""Each walker takes as many steps before draws are kept as after."""
STARTS, POLISHED = 2000, 4

_VALUES = (
    *("data_exponent", "compute_exponent", "floor", "data_share"),
    *("gain_data", "gain_compute"),
)
JOINT_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("arm", "task", "head", "metric"), pl.String()),
        **dict.fromkeys(("sizes", "shares", "runs", "points"), pl.Int64()),
        "identified": pl.Boolean(),
        **{f"{name}{end}": pl.Float64() for name in _VALUES for end in ("", "_lower", "_upper")},
        "confidence": pl.Float64(),
        "note": pl.String(),
    }
)


@dataclass(frozen=True)
class JointLaw:
    """Draws of the law, one entry each.

    Attributes:
        data, compute: exponents.
        floor: the floor's share of the error at the largest run.
        data_share: the data's share of the reducible error there.
        level: error there.
    """

    data: Array
    compute: Array
    floor: Array
    data_share: Array
    level: Array

    def relative(self, data: float, compute: float) -> Array:
        """Error at multiples of the largest run's images and samples, relative to that run's."""
        falls = self.data_share * data**-self.data
        falls = falls + (1 - self.data_share) * compute**-self.compute
        return np.asarray(self.floor + (1 - self.floor) * falls)


@dataclass(frozen=True)
class _Points:
    """The points to fit, grouped by run: log(n / N), log(s / S), log error."""

    log_n: Array
    log_s: Array
    log_error: Array
    runs: NDArray[np.int64]

    def log_relative(self, shapes: Array) -> Array:
        """Log error relative to the largest run, for shapes [K, 4 or more]: [K, points]."""
        a, b, e, w = shapes[:, :4].T[:, :, None]
        falls = w * np.exp(-a * self.log_n) + (1 - w) * np.exp(-b * self.log_s)
        return np.asarray(np.log(e + (1 - e) * falls))

    def log_likelihood(self, shapes: Array) -> tuple[Array, Array, Array]:
        """For shapes with noise [K, 6]: log likelihood, and mean and variance of the log level.

        The covariance of a run's points is their shared variance everywhere, plus each point's own
        on the diagonal, so its inverse has a closed form.
        """
        residual = self.log_error - self.log_relative(shapes)
        of_run, of_point = np.exp(2 * shapes[:, 4:].T)[:, :, None]
        first = np.flatnonzero(np.append(True, np.diff(self.runs)))
        count = np.diff(np.append(first, len(self.runs)))
        pull = of_run / (of_point + count * of_run)

        def product(left: Array, right: Array) -> Array:
            sums = [np.add.reduceat(each, first, axis=1) for each in (left, right)]
            inner = (left * right).sum(axis=1) - (pull * sums[0] * sums[1]).sum(axis=1)
            return np.asarray(inner / of_point[:, 0])

        ones = np.ones_like(residual)
        total = product(ones, ones)
        level = product(residual, ones) / total
        squares = product(residual, residual) - total * level**2
        half = 0.5 * ((len(self.runs) - len(count)) * np.log(of_point[:, 0]) + np.log(total))
        half = half + 0.5 * np.log(of_point + count * of_run).sum(axis=1)
        return -0.5 * squares - half, level, 1 / total


def fit_joint(
    images: Array, samples: Array, errors: Array, runs: NDArray[np.int64], seed: int = 0
) -> JointLaw:
    """Draw from the posterior of the joint law with an ensemble of walkers.

    Each walker moves along a line through one of the other half (Goodman and Weare 2010), which
    works as well in long, narrow valleys, as here, as in round ones.

    Args:
        images: unique images of each point.
        samples: samples seen at each point.
        errors: positive.
        runs: number of each point's run.
        seed: seed of the draws.
    """
    order = np.lexsort([samples, runs])
    points = _Points(
        np.log(images / images.max())[order],
        np.log(samples / samples.max())[order],
        np.log(errors)[order],
        runs[order],
    )
    rng = np.random.default_rng([seed, text_number("joint")])
    low, high = np.array(BOUNDS).T

    def density(shapes: Array) -> Array:
        inside = ((shapes > low) & (shapes < high)).all(axis=1)
        found = points.log_likelihood(np.clip(shapes, low, high))[0]
        return np.where(inside, found, -np.inf)

    walkers = _start(points, rng.uniform(low, high, (STARTS, len(low))), low, high, rng)
    current = density(walkers)
    halves = [slice(0, WALKERS // 2), slice(WALKERS // 2, WALKERS)]
    kept = []
    for step in range(2 * STEPS):
        for moved, others in (halves, halves[::-1]):
            stretch = (1 + rng.random(WALKERS // 2)) ** 2 / 2
            towards = rng.permutation(walkers[others])
            proposed = towards + stretch[:, None] * (walkers[moved] - towards)
            new = density(proposed)
            gain = (len(low) - 1) * np.log(stretch) + new - current[moved]
            taken = np.log(rng.random(WALKERS // 2)) < gain
            walkers[moved] = np.where(taken[:, None], proposed, walkers[moved])
            current[moved] = np.where(taken, new, current[moved])
        if step >= STEPS and step % THIN == 0:
            kept.append(walkers.copy())
    drawn = np.concatenate(kept)
    _, level, variance = points.log_likelihood(drawn)
    noise = np.sqrt(variance) * rng.standard_normal(len(drawn))
    data, compute, floor, share, *_ = drawn.T
    return JointLaw(data, compute, floor, share, level=np.exp(level + noise))


def _start(
    points: _Points, tried: Array, low: Array, high: Array, rng: np.random.Generator
) -> Array:
    """Starting points of the walkers, around the least-squares fit of the best of many shapes."""
    residual = points.log_error - points.log_relative(tried)
    loss = residual.var(axis=1)

    def deviation(shape: Array) -> Array:
        of = points.log_error - points.log_relative(shape[None, :])[0]
        return np.asarray(of - of.mean())

    found = [
        least_squares(deviation, tried[index, :4], bounds=(low[:4], high[:4]))
        for index in np.argsort(loss)[:POLISHED]
    ]
    best = min(found, key=lambda one: float(one.cost))
    noise = np.log(np.clip(np.sqrt(2 * best.cost / len(residual[0])), *np.exp([low[4], high[4]])))
    centre = np.append(best.x, [noise, noise])
    around = centre + 0.02 * (high - low) * rng.standard_normal((WALKERS, len(low)))
    margin = 1e-3 * (high - low)
    return np.clip(around, low + margin * rng.random((WALKERS, 1)), high - margin)


def joint_table(study: Study, checkpoints: pl.DataFrame) -> pl.DataFrame:
    """A row of `JOINT_SCHEMA` for each task and arm that keeps intermediate encoders.

    Args:
        study: names arms, tasks, metrics and the level of intervals.
        checkpoints: `checkpoints.parquet`.
    """
    rows = [
        _row(study, of_head(study, checkpoints, task), arm, task, metric)
        for task, metric in study.scaling.metrics.items()
        for arm in dict.fromkeys(arm for arm, _ in study.kept.values())
    ]
    return pl.DataFrame(rows, schema=JOINT_SCHEMA)


def _row(study: Study, scores: pl.DataFrame, arm: str, task: str, metric: str) -> dict[str, Any]:
    points = scores.filter(
        (pl.col("arm") == arm)
        & (pl.col("target") == "macro")
        & (pl.col("metric") == metric)
        & pl.col("value").is_between(0, 1)
    ).sort("size", "seed", "share")
    by_size = points.group_by("size").agg(pl.col("share").n_unique())
    full = by_size.filter(pl.col("share") >= LEAST_SHARES)
    row: dict[str, Any] = {
        "arm": arm,
        "task": task,
        "head": study.head_of(task),
        "metric": metric,
        "sizes": len(by_size),
        "shares": points["share"].n_unique(),
        "runs": points.select("size", "seed").n_unique(),
        "points": len(points),
        "identified": False,
        "confidence": study.scaling.confidence,
    }
    if len(full) < LEAST_SIZES:
        why = f"{len(full)} of at least {LEAST_SIZES} sizes have {LEAST_SHARES} shares scored"
        return row | {"note": f"too few: {why}"}
    errors = to_error(points["value"].to_numpy())
    runs = points.select(pl.struct("size", "seed").rank("dense")).to_series().to_numpy()
    # Early in training, an encoder has not seen all images of a large subset.
    images, samples = (
        points.select(pl.coalesce(name, "size").cast(pl.Float64)).to_series().to_numpy()
        for name in ("images", "samples")
    )
    found = fit_joint(images, samples, errors, runs.astype(np.int64), text_number(f"{task}/{arm}"))
    tail = (1 - study.scaling.confidence) / 2
    wide = [
        f"exponent of {name} between {low:.2g} and {high:.2g}"
        for name, draws in (("data", found.data), ("compute", found.compute))
        for low, high in [np.quantile(draws, [tail, 1 - tail])]
        if high / low > WIDEST
    ]
    if wide:
        return row | {"note": f"not identified: {', '.join(wide)}"}
    values = {
        "data_exponent": found.data,
        "compute_exponent": found.compute,
        "floor": found.floor * found.level,
        "data_share": found.data_share,
        "gain_data": found.level * (1 - found.relative(2, 1)),
        "gain_compute": found.level * (1 - found.relative(1, 2)),
    }
    told = {"identified": True, "note": ""}
    for name, draws in values.items():
        low, middle, high = np.quantile(draws, [tail, 0.5, 1 - tail]).tolist()
        told |= {name: middle, f"{name}_lower": low, f"{name}_upper": high}
    return row | told
