"""Linear probe: logistic regressions of all labels at once on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standardiser:
    """Shift and scale of features, measured on the training images."""

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> "Standardiser":
        """Mean and standard deviation of each column [N, D]; constant columns keep scale 1."""
        mean = features.mean(0, dtype=np.float64)
        scale = features.std(0, dtype=np.float64)
        return cls(mean, np.where(scale > 0, scale, 1.0))

    def __call__(self, features: NDArray[np.floating]) -> Floats:
        """Standardised features, float64 [N, D]."""
        standardised: Floats = (features - self.mean) / self.scale
        return standardised


@dataclass(frozen=True)
class Probe:
    """Weights [D, K] and biases [K] of K logistic regressions."""

    weights: Floats
    biases: Floats
    penalty: float

    def logits(self, features: Floats) -> Floats:
        """Log odds of each label, [N, K]."""
        return features @ self.weights + self.biases


def log_loss(logits: Floats, targets: NDArray[np.floating]) -> Floats:
    """Mean logistic loss of each label over its known cells.

    Args:
        logits: [N, K].
        targets: [N, K], 1, 0 or NaN (unknown).

    Returns:
        [K]; NaN for a label without known cells.
    """
    known = ~np.isnan(targets)
    cells = np.logaddexp(0, logits) - np.where(known, targets, 0) * logits
    with np.errstate(invalid="ignore"):
        loss: Floats = (cells * known).sum(0) / known.sum(0)
    return loss


def fit_path(
    features: Floats,
    targets: NDArray[np.floating],
    penalties: Sequence[float],
    tolerance: float = 1e-5,
    iterations: int = 500,
) -> list[Probe]:
    """Logistic regressions under each penalty, from strong to weak, each started from the last.

    For label k with n_k known cells, minimises
    mean over known cells of log(1 + exp(z)) - y z, plus penalty / 2 x |w_k|^2, the bias free:
    scikit-learn's `LogisticRegression` with C = 1 / (penalty x n_k) on the rows where the label is
    known. The labels share no parameter, so one L-BFGS run over their sum solves them all. A label
    that is constant on the training images has no finite solution; its weights stay 0.

    Args:
        features: [N, D], standardised.
        targets: [N, K], 1, 0 or NaN (unknown).
        penalties: tried in descending order.
        tolerance: largest absolute gradient at the end.
        iterations: L-BFGS iterations per penalty, at most.

    Returns:
        One probe per penalty, strongest first.
    """
    from scipy.optimize import minimize

    known = ~np.isnan(targets)
    truth = np.where(known, targets, 0.0)
    positives, counts = truth.sum(0), known.sum(0)
    learnable = (positives > 0) & (positives < counts)
    cell_weight = known * (learnable / np.maximum(counts, 1))
    prevalence = np.where(learnable, positives / np.maximum(counts, 1), 0.5)
    size, labels = features.shape[1], targets.shape[1]

    def objective(flat: Floats, penalty: float) -> tuple[float, Floats]:
        parameters = flat.reshape(size + 1, labels)
        weights, biases = parameters[:-1], parameters[-1]
        logits = features @ weights + biases
        loss = (cell_weight * (np.logaddexp(0, logits) - truth * logits)).sum()
        residual = cell_weight * (_sigmoid(logits) - truth)
        gradient = np.vstack([features.T @ residual + penalty * weights, residual.sum(0)])
        return float(loss + penalty / 2 * (weights**2).sum()), gradient.ravel()

    flat = np.vstack([np.zeros((size, labels)), np.log(prevalence / (1 - prevalence))]).ravel()
    probes = []
    for penalty in sorted(penalties, reverse=True):
        flat = minimize(
            objective,
            flat,
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations, "maxfun": 2 * iterations, "gtol": tolerance, "ftol": 0},
        ).x
        parameters = flat.reshape(size + 1, labels)
        probes.append(Probe(parameters[:-1].copy(), parameters[-1].copy(), penalty))
    return probes


def choose(probes: Sequence[Probe], features: Floats, targets: NDArray[np.floating]) -> Probe:
    """The probe of least validation loss, summed over labels; the strongest penalty wins ties.

    The logistic loss is a proper score and stays informative with few positives, where AUROC
    moves in steps.

    Args:
        probes: candidates, strongest penalty first.
        features: [N, D], validation images.
        targets: [N, K], 1, 0 or NaN (unknown).
    """
    losses = [np.nansum(log_loss(probe.logits(features), targets)) for probe in probes]
    return probes[int(np.argmin(losses))]


def _sigmoid(values: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -values))
