"""Linear probe: logistic regressions of all labels at once on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

HALVINGS = 30
"""Maximum number of halvings of a step that increases the loss."""


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
        """Standardise features: float64 [N, D]."""
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
    features: NDArray[np.floating],
    targets: NDArray[np.floating],
    penalties: Sequence[float],
    tolerance: float = 1e-8,
    iterations: int = 500,
) -> list[Probe]:
    """Logistic regressions for each penalty, from strong to weak, each started from the last.

    For label k with n_k known cells, minimises
    mean over known cells of log(1 + exp(z)) - y z, plus penalty / 2 x |w_k|^2, the bias free. A
    label that is constant on the training images has no finite solution; its weights stay 0.

    All labels are minimised together by conjugate gradients, so that a step reads the features only
    twice, whatever the number of labels. The preconditioner keeps the number of steps small: it is
    the Hessian with the label's mean weight p (1 - p) for every image, which a single
    eigendecomposition of the features' second moments inverts for all labels and penalties.

    Args:
        features: [N, D], standardised.
        targets: [N, K], 1, 0 or NaN (unknown).
        penalties: tried in descending order.
        tolerance: a label is done when its last step lowered the objective by no more than this
            share, and by the preconditioner another could not lower it more. Below 1e-8 products
            are in double precision.
        iterations: maximum number of steps per penalty.

    Returns:
        One probe per penalty, strongest first.
    """
    ordered = sorted(penalties, reverse=True)
    weights = np.zeros((len(ordered), features.shape[1], targets.shape[1]))
    biases = np.zeros((len(ordered), targets.shape[1]))
    learnt = np.flatnonzero((targets == 1).any(axis=0) & (targets == 0).any(axis=0))
    if learnt.size:
        dtype = np.float32 if tolerance >= 1e-8 else np.float64
        descent = _Descent(features.astype(dtype), targets[:, learnt])
        for place, penalty in enumerate(ordered):
            descent.to(penalty, tolerance, iterations)
            weights[place][:, learnt], biases[place, learnt] = descent.weights, descent.biases
    return [Probe(*solution) for solution in zip(weights, biases, ordered, strict=True)]


class _Descent:
    """State of the joint minimisation of K labels' logistic regressions."""

    def __init__(self, features: NDArray[np.floating], targets: NDArray[np.floating]) -> None:
        """Start with weights of 0; `targets` [N, K] has 1 and 0 for every label."""
        self.features = features
        known = ~np.isnan(targets)
        self.sign = np.where(targets == 1, -1, 1).astype(features.dtype)
        """Signs of the logits in a cell's loss log(1 + exp(sign z)), a form that loses no
        digits."""
        self.share = (known / known.sum(axis=0)).astype(features.dtype)
        """Weight of each cell in its label's mean."""
        self.moments, self.axes = _second_moments(features)
        self.weights: Floats = np.zeros((features.shape[1], targets.shape[1]))
        self.biases: Floats = np.zeros(targets.shape[1])
        self.logits = np.zeros(targets.shape, features.dtype)

    def to(self, penalty: float, tolerance: float, iterations: int) -> None:
        """Minimise each label's loss under a penalty."""
        active = np.arange(self.sign.shape[1])
        before: tuple[Floats, Floats, Floats] | None = None
        value = self._value(self.logits, self.weights, active, penalty)
        fallen = np.zeros(len(active))
        for _ in range(iterations):
            sign = self.sign[:, active]
            against = expit(sign * self.logits[:, active])
            wrong = sign * against * self.share[:, active]
            slope = np.vstack(
                [
                    (self.features.T @ wrong).astype(np.float64)
                    + penalty * self.weights[:, active],
                    wrong.sum(axis=0, dtype=np.float64),
                ]
            )
            spread = against * (1 - against) * self.share[:, active]
            steepest = -self._preconditioned(slope, spread.sum(axis=0, dtype=np.float64), penalty)
            gain = -(slope * steepest).sum(axis=0)
            going = np.maximum(gain / 2, fallen) > tolerance * value
            if not going.any():
                return
            direction = steepest
            if before is not None:
                last_slope, last_gain, last = before
                # Polak and Ribiere's formula, restarted if the direction is not one of descent.
                carried = np.maximum(0, (gain + (last_slope * steepest).sum(axis=0)) / last_gain)
                direction = steepest + carried * last
                direction = np.where((slope * direction).sum(axis=0) < 0, direction, steepest)
            active, spread, value = active[going], spread[:, going], value[going]
            slope, gain, direction = slope[:, going], gain[going], direction[:, going]
            before = slope, gain, direction
            fallen = value
            value = self._step(active, slope, direction, spread, value, penalty)
            fallen = fallen - value

    def _step(
        self,
        active: NDArray[np.intp],
        slope: Floats,
        direction: Floats,
        spread: NDArray[np.floating],
        value: Floats,
        penalty: float,
    ) -> Floats:
        """A Newton step along a direction [D + 1, K], halved while the loss rises; new values."""
        ahead = self.features @ direction[:-1].astype(self.features.dtype)
        ahead += direction[-1].astype(self.features.dtype)
        curvature = np.einsum("nk,nk,nk->k", spread, ahead, ahead, dtype=np.float64)
        curvature += penalty * (direction[:-1] ** 2).sum(axis=0)
        length = -(slope * direction).sum(axis=0) / curvature
        for _ in range(HALVINGS):
            logits = self.logits[:, active] + length.astype(ahead.dtype) * ahead
            weights = self.weights[:, active] + length * direction[:-1]
            found = self._value(logits, weights, active, penalty)
            higher = found > value * (1 + 1e-6)
            if not higher.any():
                break
            length = np.where(higher, length / 2, length)
        self.logits[:, active], self.weights[:, active] = logits, weights
        self.biases[active] += length * direction[-1]
        return found

    def _value(
        self,
        logits: NDArray[np.floating],
        weights: Floats,
        active: NDArray[np.intp],
        penalty: float,
    ) -> Floats:
        cells = np.logaddexp(0, self.sign[:, active] * logits)
        loss = np.einsum("nk,nk->k", cells, self.share[:, active], dtype=np.float64)
        value: Floats = loss + penalty / 2 * (weights**2).sum(axis=0)
        return value

    def _preconditioned(self, slope: Floats, spread: Floats, penalty: float) -> Floats:
        along = (self.axes.T @ slope[:-1]) / (self.moments[:, None] * spread + penalty)
        found: Floats = np.vstack([self.axes @ along, slope[-1] / spread])
        return found


def _second_moments(features: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Second moments [r] along the principal axes [D, r] of the features, r at most N and D."""
    rows, columns = features.shape
    if rows >= columns:
        moments, axes = np.linalg.eigh((features.T @ features).astype(np.float64) / rows)
        return np.maximum(moments, 0), axes
    moments, of_rows = np.linalg.eigh((features @ features.T).astype(np.float64) / rows)
    kept = moments > moments.max() * 1e-12
    moments, of_rows = moments[kept], of_rows[:, kept]
    return moments, (features.T @ of_rows) / np.sqrt(moments * rows)


def choose(probes: Sequence[Probe], features: Floats, targets: NDArray[np.floating]) -> Probe:
    """The probe with the lowest validation loss over labels; the strongest penalty wins ties.

    The logistic loss is a proper score and stays informative with few positives, where AUROC
    moves in steps.

    Args:
        probes: candidates, strongest penalty first.
        features: [N, D], validation images.
        targets: [N, K], 1, 0 or NaN (unknown).
    """
    losses = [np.nansum(log_loss(probe.logits(features), targets)) for probe in probes]
    return probes[int(np.argmin(losses))]
