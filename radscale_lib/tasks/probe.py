"""Linear probe: logistic regressions of all labels at once on frozen features."""

import warnings
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
    def fit(cls, features: NDArray[np.floating]) -> "Standardiser":
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
    mean over known cells of log(1 + exp(z)) - y z, plus penalty / 2 x |w_k|^2, the bias free. A
    label that is constant on the training images has no finite solution; its weights stay 0.

    Args:
        features: [N, D], standardised.
        targets: [N, K], 1, 0 or NaN (unknown).
        penalties: tried in descending order.
        tolerance: largest absolute gradient at the end.
        iterations: L-BFGS iterations per penalty, at most.

    Returns:
        One probe per penalty, strongest first.
    """
    ordered = sorted(penalties, reverse=True)
    weights = np.zeros((len(ordered), features.shape[1], targets.shape[1]))
    biases = np.zeros((len(ordered), targets.shape[1]))
    for label in range(targets.shape[1]):
        known = np.flatnonzero(~np.isnan(targets[:, label]))
        truth = targets[known, label]
        if np.ptp(truth) if known.size else 0:
            path = _path(features[known], truth, ordered, tolerance, iterations)
            weights[:, :, label], biases[:, label] = path
    return [Probe(*solution) for solution in zip(weights, biases, ordered, strict=True)]


def _path(
    features: Floats,
    truth: NDArray[np.floating],
    penalties: Sequence[float],
    tolerance: float,
    iterations: int,
) -> tuple[Floats, Floats]:
    """Weights [P, D] and biases [P] of one label under each penalty."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(tol=tolerance, max_iter=iterations, warm_start=True)
    solutions = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # weak penalties are cut, by design
        for penalty in penalties:
            model.set_params(C=1 / (penalty * len(truth))).fit(features, truth)
            solutions.append((model.coef_[0].copy(), model.intercept_[0]))
    weights, biases = zip(*solutions, strict=True)
    return np.stack(weights), np.array(biases)


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
