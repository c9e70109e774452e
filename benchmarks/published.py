"""Published fitting recipes, so that their printed figures can be replicated.

- Besiroglu et al. 2024 (arXiv 2404.10102): Chinchilla's L = E + A / N^alpha + B / D^beta, refitted.
- Cherti et al. 2023 (arXiv 2212.07143): a line through the best model of each of five compute bins.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from scipy.optimize import minimize
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
    """Parameters, tokens (C / 6N) and loss of the runs; the five highest losses are left out."""
    kept = table.sort("loss").head(len(table) - 5)
    size, flops, loss = kept.select("Model Size", "Training FLOP", "loss").to_numpy().T
    return size, flops / (6 * size), loss


def refit_chinchilla(
    size: Array, tokens: Array, loss: Array, start: Chinchilla | None = None
) -> Chinchilla:
    """The refit, from a grid of starts of which the best twelve are polished, or from one start."""
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
