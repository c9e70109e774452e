"""Published fitting recipes, so that their printed figures can be replicated.

- Besiroglu et al. 2024 (arXiv 2404.10102): Chinchilla's L = E + A / N^alpha + B / D^beta, refitted.
- Alabdulmohsin et al. 2022 (arXiv 2209.06640): M1 to M4, whose residuals are of log(y - E), not of
  log y.
- Cherti et al. 2023 (arXiv 2212.07143): a line through the best model of each of five compute bins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from scipy.optimize import brentq, minimize, minimize_scalar, nnls
from scipy.special import logsumexp

from radscale_lib.scaling.laws import Array

HUBER = 1e-3


@dataclass(frozen=True)
class Chinchilla:
    """Parameters of the refit, and its objective (summed Huber loss of log residuals)."""

    a: float
    b: float
    e: float
    alpha: float
    beta: float
    objective: float

    @property
    def start(self) -> Array:
        """The parameters as the optimiser sees them."""
        return np.array([np.log(self.a), np.log(self.b), np.log(self.e), self.alpha, self.beta])


def chinchilla_runs(table: pl.DataFrame) -> tuple[Array, Array, Array]:
    """Parameters, tokens (C / 6N) and loss of the runs, without the five highest losses."""
    kept = table.sort("loss").head(len(table) - 5)
    size, flops, loss = kept.select("Model Size", "Training FLOP", "loss").to_numpy().T
    return size, flops / (6 * size), loss


def refit_chinchilla(
    size: Array, tokens: Array, loss: Array, start: Chinchilla | None = None
) -> Chinchilla:
    """The refit from one start, or from a grid of starts of which the best twelve are polished."""
    log_size, log_tokens, log_loss = np.log(size), np.log(tokens), np.log(loss)

    def objective(x: Array) -> tuple[float, Array]:
        terms = np.array(
            [x[0] - x[3] * log_size, x[1] - x[4] * log_tokens, np.full(loss.size, x[2])]
        )
        total = logsumexp(terms, axis=0)
        residual = total - log_loss
        inside = np.abs(residual) <= HUBER
        value = np.where(inside, residual**2 / 2, HUBER * (np.abs(residual) - HUBER / 2)).sum()
        slope = np.clip(residual, -HUBER, HUBER) * np.exp(terms - total)
        gradient = np.array(
            [slope[0].sum(), slope[1].sum(), slope[2].sum(),
             -(slope[0] * log_size).sum(), -(slope[1] * log_tokens).sum()]
        )  # fmt: skip
        # The objective is about 1e-3: unscaled, default tolerances stop early.
        return 1e4 * float(value), 1e4 * gradient

    levels, shares, powers = np.arange(0, 26, 5), np.arange(-1, 1.1, 0.5), np.arange(0, 2.1, 0.5)
    grid = product(levels, levels, shares, powers, powers)
    starts = [start.start] if start else sorted(map(np.array, grid), key=lambda x: objective(x)[0])
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
    best = min(
        (
            minimize(objective, x, jac=True, method="BFGS", options={"gtol": 1e-7})
            for x in starts[:12]
        ),
        key=lambda found: found.fun,
    )
    best = minimize(objective, best.x, jac=True, method="L-BFGS-B", options=options)
    a, b, e = np.exp(best.x[:3])
    return Chinchilla(a, b, e, best.x[3], best.x[4], best.fun / 1e4)


SAMPLES_SEEN = {"3B": 80_000_415 * 32, "13B": 407_332_084 * 32, "34B": 407_332_084 * 84}
OPENCLIP_MODELS = ("ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-H-14", "ViT-g-14")


def openclip_line_error(
    results: pl.DataFrame, models: pl.DataFrame, data: str, metric: str
) -> tuple[float, float]:
    """Exponent of the line, and its mean absolute error in percent over models and samples seen."""
    runs = (
        results.filter(
            (pl.col("downstream_dataset") == data) & pl.col("arch").is_in(OPENCLIP_MODELS)
        )
        .filter(pl.col("upstream_dataset") != "CLIP-WIT")
        .with_columns(error=1 - pl.col(metric).cast(pl.Float64))
    )
    log_compute = np.log10(runs["gmacs_total"].to_numpy())
    log_error = np.log10(runs["error"].to_numpy())
    edges = np.linspace(log_compute.min(), log_compute.max() + 0.1, 6)
    bins = np.digitize(log_compute, edges) - 1
    lowest = [log_error[bins == i].min() for i in range(5)]
    slope, intercept = np.polyfit((edges[:-1] + edges[1:]) / 2, lowest, 1)
    gmacs = dict(models.select("model", "gmacs").iter_rows())
    errors = []
    for (model, seen), rows in runs.group_by("arch", "samples_seen_pretty", maintain_order=True):
        compute = gmacs[model] * SAMPLES_SEEN[str(seen)]
        predicted = 10**intercept * compute**slope
        errors.append(100 * abs(predicted - float(np.min(rows["error"].to_numpy()))))
    return float(slope), float(np.mean(errors))


Predict = Callable[[Array], Array]
"""Errors at sizes."""

MARGIN = 1e-3
"""M2 and M4 keep their floor this far below the lowest error, and M4 its ceiling above the
others."""


def _line(x: Array, y: Array) -> tuple[float, float, float]:
    """Intercept and slope of the least-squares line, and its sum of squares."""
    slope, intercept = np.polyfit(x, y, 1)
    return intercept, slope, float(((intercept + slope * x - y) ** 2).sum())


def fit_m1(size: Array, error: Array) -> Predict:
    """M1: y = b x^c, a line in log-log."""
    level, power, _ = _line(np.log(size), np.log(error))
    return lambda at: np.exp(level + power * np.log(at))


def fit_m2(size: Array, error: Array) -> Predict:
    """M2: log(y - E) is a line in log x.

    E is the first optimum below the lowest error, where the authors start their descent: there may
    be a better one further down, which predicts worse.
    """
    top = error.min() - MARGIN
    floors = top * np.linspace(1, 0, 2001)

    def loss(floor: float) -> float:
        return _line(np.log(size), np.log(error - floor))[2]

    rising = np.diff([loss(one) for one in floors]) > 0
    at = int(rising.argmax()) if rising.any() else floors.size - 1
    near = (floors[min(at + 1, floors.size - 1)], floors[max(at - 1, 0)])
    floor = float(minimize_scalar(loss, bounds=near, method="bounded").x)
    level, power, _ = _line(np.log(size), np.log(error - floor))
    return lambda at: floor + np.exp(level + power * np.log(at))


def fit_m3(size: Array, error: Array) -> Predict:
    """M3: y = b (1 / x + g)^c, c >= 0, by the alternation that the authors publish.

    A line for b and c; then g among those that put the law through one of the points.
    """
    best = 0.0
    for _ in range(10_000):
        level, power, _ = _line(np.log(1 / size + best), np.log(error))
        power = max(power, 0.0)

        def loss(g: float, level: float = level, power: float = power) -> float:
            return float(((level + power * np.log(1 / size + g) - np.log(error)) ** 2).sum())

        through = (error / np.exp(level)) ** (1 / power) - 1 / size
        found = min([best, *through[through >= 0]], key=loss)
        if found == best:
            break
        best = found
    return lambda at: np.exp(level + power * np.log(1 / at + best))


def fit_m4(size: Array, error: Array, ceiling: float = 1.0, bound: float = np.inf) -> Predict:
    """M4: (y - E) / (e0 - y)^alpha = b x^c, by the alternation that the authors publish.

    Least squares for b, c and alpha (c <= 0, alpha >= 0), then steps for E and e0: 1,000 of
    gradient descent in each of the first 100 rounds, later 100 damped Newton steps. The result
    depends on early stopping: an exact optimum predicts worse.

    Args:
        size: numbers of examples.
        error: errors.
        ceiling: where e0 starts.
        bound: upper bound of e0.
    """
    log_size = np.log(size)
    lowest, highest = error.min(), error.max()
    floor, top = lowest - MARGIN, max(ceiling, highest + MARGIN)
    # As published, the regression keeps the first ceiling.
    design = np.stack([np.ones_like(size), -log_size, np.log(top - error)], axis=1)
    before = 0.0
    for turn in range(10_000):
        (level, fall, alpha), _ = nnls(design, np.log(error - floor))
        target = level - fall * log_size
        newton = turn >= 100
        for _ in range(100 if newton else 1000):
            under, over = error - floor, top - error
            residual = np.log(under) - alpha * np.log(over) - target
            step_floor, step_top = -(residual / under).mean(), -alpha * (residual / over).mean()
            if newton:
                curved = ((1 - residual) / under**2).mean()
                bent = alpha * ((alpha + residual) / over**2).mean()
                step_floor = 0.1 * step_floor / curved if abs(curved) > 1e-5 else 0.0
                step_top = 0.1 * step_top / bent if abs(bent) > 1e-5 else 0.0
            else:
                step_floor, step_top = 1e-8 * step_floor, 1e-8 * step_top
            floor = min(max(floor - step_floor, 0.0), lowest - MARGIN)
            top = min(max(top - step_top, highest + MARGIN), max(bound, highest + MARGIN))
        if turn > 101 and abs(np.exp(level) - before) < 1e-10:
            break
        before = np.exp(level)
    span = top - floor

    def predict(at: Array) -> Array:
        rights = np.exp(level - fall * np.log(at))
        if alpha < 1e-5:
            return np.asarray(floor + rights)
        excess = [brentq(lambda w, f=f: w - f * (span - w) ** alpha, 0.0, span) for f in rights]
        return np.asarray(floor + np.array(excess))

    return predict


def root_mean_square_log_error(predict: Predict, size: Array, error: Array) -> float:
    """RMSE of log error, as the authors score."""
    return float(np.sqrt(np.mean((np.log(predict(size)) - np.log(error)) ** 2)))
