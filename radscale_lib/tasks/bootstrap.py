"""Bootstrap over patients: the same draws of patients for every metric and every encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELLS = 1_000_000
"""Number of weights and of sums held at once (4 MB each), whatever the number of test images."""
FEWEST_AT_ONCE = 16
"""Number of resamples held at once, whatever the number of test images."""


@dataclass(frozen=True)
class PatientDraws:
    """How often each patient was drawn, in each of B bootstrap resamples.

    Images of a patient are drawn together (cluster bootstrap), so intervals allow for their
    dependence.

    Attributes:
        counts: uint8 [B, P], draws of each patient; rows sum to P.
        patient: [N], index of each image's patient.
    """

    counts: NDArray[np.uint8]
    patient: NDArray[np.intp]

    @classmethod
    def draw(cls, patients: Sequence[str], resamples: int, seed: int) -> "PatientDraws":
        """Draw patients with replacement.

        The draws depend only on the set of patients, `resamples` and `seed`, not on the order of
        the images or the encoder. Scores of two encoders are therefore paired.

        Args:
            patients: patient of each of the N images.
            resamples: number of draws B.
            seed: seed of the draws.
        """
        names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
        random = np.random.default_rng(seed)
        counts = np.zeros((resamples, len(names)), np.uint8)
        for row in counts:
            drawn = random.integers(0, len(names), len(names))
            row[:] = np.bincount(drawn, minlength=len(names))
        return cls(counts, patient)

    def __len__(self) -> int:
        """Number of resamples B."""
        return len(self.counts)

    def of(self, images: NDArray[np.intp]) -> "PatientDraws":
        """The same draws for some of the images, so that scores of several parts are paired.

        Args:
            images: [n], indices of images.
        """
        kept, patient = np.unique(self.patient[images], return_inverse=True)
        return PatientDraws(self.counts[:, kept], patient)

    def weights(self, rows: int) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        """Weights of the patients, some resamples at a time.

        Args:
            rows: number of values held at once per resample.

        Yields:
            The resamples, and the weights [P, b].
        """
        step = max(FEWEST_AT_ONCE, CELLS // max(1, rows))
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            yield part, np.ascontiguousarray(self.counts[part].T, np.int32)

    def sums(self, values: NDArray[np.generic]) -> Floats:
        """Sum of per-image values in each resample.

        Args:
            values: [N, K], one row per image.

        Returns:
            [B, K].
        """
        by_patient = np.zeros((self.counts.shape[1], values.shape[1]))
        np.add.at(by_patient, self.patient, values)
        sums = np.empty((len(self), values.shape[1]))
        step = max(1, CELLS // max(1, len(by_patient)))
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            sums[part] = self.counts[part].astype(np.float64) @ by_patient
        return sums


def at_prevalence(resamples: Floats, positives: Floats, negatives: Floats) -> Floats:
    """Draws of a score with the effect of a draw's prevalence removed (linear in its log odds).

    They are adjusted to the test set's prevalence, the same for all encoders.

    Args:
        resamples: [B], NaN where undefined.
        positives: [B], positive images of each draw.
        negatives: [B], negative ones.
    """
    kept = ~np.isnan(resamples)
    odds = np.log((positives[kept] + 0.5) / (negatives[kept] + 0.5))
    odds = odds - odds.mean() if len(odds) else odds
    total = float(odds @ odds)
    if not total > 0:
        return resamples
    found = resamples.copy()
    found[kept] -= odds * (float(odds @ resamples[kept]) / total)
    return found


def covariance(resamples: Floats, cases: Floats) -> Floats:
    """Covariance [K, K] of draws if each had as many cases as the test set.

    A mean over fewer cases varies more, so each draw is weighted by its number of cases.

    Args:
        resamples: [B, K]; draws with a NaN are left out.
        cases: [B], the number of cases in each draw that count in the scores.
    """
    kept = ~np.isnan(resamples).any(axis=1) & (cases > 0)
    if not kept.any():
        return np.zeros((resamples.shape[1],) * 2)
    weights = cases[kept] / cases[kept].sum()
    apart = resamples[kept] - weights @ resamples[kept]
    found: Floats = (apart * weights[:, None]).T @ apart
    return found


def interval(resamples: Floats, confidence: float) -> tuple[float, float]:
    """Percentile interval of a metric's resamples; NaN entries are left out.

    Returns:
        Lower and upper end; NaN if no resample is defined.
    """
    defined = resamples[~np.isnan(resamples)]
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(defined, [tail, 1 - tail])
    return float(lower), float(upper)
