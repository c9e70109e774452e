"""The families of a label's metrics: candidate true values, and the spread of their estimates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from radscale_lib.tasks.binormal import (
    DEVIATES,
    LOG_SPREADS,
    PRIOR_SPREAD,
    Moments,
    area_moments,
    precision_moments,
    spreads_given,
)
from radscale_lib.tasks.confidence import SHIFTS, Family, Floats, sampled_family, student
from radscale_lib.tasks.recalibration import error_moments, recalibrated

MOMENTS: Mapping[str, Callable[[Floats, int, int, Floats], Moments]] = {
    "auroc": area_moments,
    "auprc": precision_moments,
}
"""Metrics whose spread the binormal model gives; for others only the bootstrap does."""
TRUSTED = 400
"""Number of cases of the rarer class at which the observed variance and the model's have equal
weight."""
LARGEST = 700.0
"""Log odds beyond it have the same probability, in double precision, and would overflow."""
EQUAL = 1e-3
"""Standard deviation of log odds that are the same for all practical purposes."""
KNOWN = 20
"""Number of positives up to which the spread follows the separation half-way; beyond it, more
closely."""
EXPECTED_SHARE = 0.5
"""Prior correlation of a patient's images, and the number of patients it is worth:"""
EXPECTED_PATIENTS = 10


@dataclass(frozen=True)
class Cases:
    """The test images of a label.

    Attributes:
        positive: [n].
        logits: [n].
        patient: [n], index of each image's patient.
    """

    positive: NDArray[np.bool_]
    logits: NDArray[np.floating]
    patient: NDArray[np.intp]

    @property
    def positives(self) -> int:
        """Number of positive images."""
        return int(self.positive.sum())

    @property
    def negatives(self) -> int:
        """Number of negative images."""
        return len(self.positive) - self.positives

    @property
    def rarer(self) -> NDArray[np.bool_]:
        """Images of the rarer class: [n]."""
        return self.positive if self.positives <= self.negatives else ~self.positive

    def design_effect(self, effect: Floats) -> float:
        """Factor by which a score's variance grows because a patient's images are alike.

        It is the variance of the sums over patients of the images' effects on the score, divided by
        that of the images': exactly 1 for one image per patient. Few patients determine it poorly,
        so it is shrunk towards the factor of a correlation of `EXPECTED_SHARE`.

        Args:
            effect: [n], the change of the score if an image had more weight; mean 0.
        """
        if np.bincount(self.patient).max() <= 1:
            return 1.0
        of_rarer = np.bincount(self.patient[self.rarer])
        images, patients = int(of_rarer.sum()), int((of_rarer > 0).sum())
        expected = 1 + EXPECTED_SHARE * (float((of_rarer**2).sum()) / images - 1)
        found, total = expected, float((effect**2).sum())
        if total > 0 and patients > 1:
            found = float((np.bincount(self.patient, effect) ** 2).sum()) / total
            found *= patients / (patients - 1) * (1 - 1 / images)
        weight = patients / (patients + EXPECTED_PATIENTS)
        return max(weight * found + (1 - weight) * expected, 1.0)

    def ranking_families(self, scores: Mapping[str, tuple[float, float]]) -> dict[str, Family]:
        """Families of ranking metrics.

        Candidate truths differ in the binormal model's separation. The positives' log spread is
        half-way between the most likely one given the score and the most likely one under each
        separation, or closer to the second (`KNOWN`): with few positives the first makes intervals
        near 1 too narrow, the second too wide (docs/methods/intervals.md).

        Args:
            scores: value and variance of the bootstrap draws, by metric.
        """
        placements, effect = self._placements()
        design = self.design_effect(effect)
        separations = np.linspace(DEVIATES[0], DEVIATES[-1], 181)
        spreads = spreads_given(separations, placements, self.negatives)
        moved = max(0.5, self.positives / (self.positives + KNOWN))
        families = {}
        for name, (value, sampled) in scores.items():
            moments = MOMENTS.get(name)
            if moments is None:
                families[name] = self.sampled(value, sampled)
                continue
            expected = moments(separations, self.positives, self.negatives, spreads).mean
            seen = 1 - 0.25 / self.positives if value == 1 else value
            start = np.interp(seen, np.maximum.accumulate(expected), separations)
            spread = np.interp(start + SHIFTS, separations, spreads)
            spread = spread**moved * spread[len(SHIFTS) // 2] ** (1 - moved)
            model = moments(start + SHIFTS, self.positives, self.negatives, spread)
            here = float(model.variance[len(SHIFTS) // 2]) * design
            found = float((np.bincount(self.patient, effect) ** 2).sum())
            scale = design * self._trusted(found if name == "auroc" else sampled, here)
            least = 1 / (self.negatives if name == "auroc" else self.positives + 1)
            families[name] = Family(
                model.truth, model.mean, model.variance * scale, 0.5 * least / self.positives
            )
        return families

    def _placements(self) -> tuple[Floats, Floats]:
        """Share of the negatives below each positive, and each image's effect on AUROC [n].

        The effects are the components of DeLong, DeLong and Clarke-Pearson (1988).
        """
        high, low = self.logits[self.positive], self.logits[~self.positive]
        placements, beaten = _share_below(high, low), 1 - _share_below(low, high)
        area = placements.mean()
        effect = np.empty(len(self.positive))
        for chosen, share in ((self.positive, placements), (~self.positive, beaten)):
            count = int(chosen.sum())
            effect[chosen] = (share - area) / np.sqrt(count * max(count - 1, 1))
        return placements, effect

    def threshold_family(self, called: NDArray[np.bool_], alone: bool) -> Family:
        """Family of F1 at a fixed threshold, or of sensitivity alone.

        Sensitivity and false alarms are binomial; candidate truths differ in both, in each by its
        share of the score's variance. Prevalence is the test set's.

        Args:
            called: [n], images called positive.
            alone: sensitivity alone.
        """
        high, low = self.positives, max(self.negatives, 1)
        hits = int(called[self.positive].sum())
        alarms = int(called[~self.positive].sum())
        start = ndtri([(hits + 0.25) / (high + 0.5), (alarms + 0.25) / (low + 0.5)])
        odds = 0.0 if alone else low / high

        def score(sensitivity: Floats, alarm: Floats) -> Floats:
            return sensitivity if alone else 2 * sensitivity / (sensitivity + 1 + odds * alarm)

        def slopes(sensitivity: Floats, alarm: Floats) -> tuple[Floats, Floats]:
            if alone:
                return np.ones_like(sensitivity), np.zeros_like(alarm)
            total = (sensitivity + 1 + odds * alarm) ** 2
            return 2 * (1 + odds * alarm) / total, 2 * sensitivity * odds / total

        def variances(sensitivity: Floats, alarm: Floats) -> tuple[Floats, Floats]:
            by_hit, by_alarm = slopes(sensitivity, alarm)
            return (
                by_hit**2 * sensitivity * (1 - sensitivity) / high,
                by_alarm**2 * alarm * (1 - alarm) / low,
            )

        here = ndtr(start)[:, None]
        first, second = (float(part[0]) for part in variances(*here))
        share = first / (first + second)
        moved = ndtr(start[0] + share * SHIFTS), ndtr(start[1] - (1 - share) * SHIFTS)
        by_hit, by_alarm = (float(part[0]) for part in slopes(*here))
        effect = np.empty(len(called))
        effect[self.positive] = by_hit * (called[self.positive] - hits / high) / high
        effect[~self.positive] = -by_alarm * (called[~self.positive] - alarms / low) / low
        truth = score(*moved)
        first_variance, second_variance = variances(*moved)
        variance = (first_variance + second_variance) * self.design_effect(effect)
        return Family(truth, truth, variance, 0.25 * by_hit / high)

    def brier_family(self, sampled: float) -> Family:
        """Family of the Brier score, at the test set's prevalence.

        Log odds are normal in each class. Candidate truths differ in both classes' means, in each
        by its share of the score's variance. Few positives determine their standard deviation
        poorly, so it is shrunk towards the negatives' by the ranking metrics' prior, and the
        variance is widened like Student's t. Where a class has the same log odds throughout, as of
        a model that says yes or no, only the bootstrap tells how the score varies.

        Args:
            sampled: variance of the bootstrap draws.
        """
        bounded = self.logits.astype(np.float64).clip(-LARGEST, LARGEST)
        logits = [bounded[kind] for kind in (self.positive, ~self.positive)]
        counts = np.array([self.positives, self.negatives])
        high, low = (float(part.std(ddof=1)) for part in logits)
        if min(high, low) < EQUAL:
            value = float(((expit(bounded) - self.positive) ** 2).mean())
            return self.sampled(value, sampled or value * (1 - value) / int(self.rarer.sum()))
        high, low = high + 1e-6, low + 1e-6
        freedom = counts[0] + 0.5 / PRIOR_SPREAD**2
        apart = float(np.clip(np.log(high / low), LOG_SPREADS[0], LOG_SPREADS[-1]))
        spreads = (low * np.exp(counts[0] / freedom * apart), low)
        nodes, weights = _normal_nodes()
        starts, squares = [], []
        for logit, spread, right in zip(logits, spreads, (1, -1), strict=True):
            means = float(logit.mean()) - right * spread * np.linspace(-12, 12, 241)

            def loss(mean: Floats, spread: float = spread, right: int = right) -> Floats:
                missed: Floats = expit(-right * (mean[:, None] + spread * nodes)) ** 2
                return missed

            seen = float((expit(-right * logit) ** 2).mean())
            starts.append(float(np.interp(seen, loss(means) @ weights, means)))
            squares.append(loss)
        shares = counts / counts.sum()

        def moments(means: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
            """Expected losses, and variances of their parts in the score: [2, C]."""
            losses = [square(mean) for square, mean in zip(squares, means, strict=True)]
            expected = np.array([loss @ weights for loss in losses])
            spread = np.array([loss**2 @ weights for loss in losses]) - expected**2
            return expected, spread * (shares**2 / counts)[:, None]

        _, (of_high, of_low) = moments((np.array(starts[:1]), np.array(starts[1:])))
        part = float(of_high[0] / max(of_high[0] + of_low[0], 1e-300))
        moved = (
            starts[0] - part * spreads[0] * SHIFTS,
            starts[1] + (1 - part) * spreads[1] * SHIFTS,
        )
        expected, spread = moments(moved)
        effect = (expit(self.logits) - self.positive) ** 2
        for kind in (self.positive, ~self.positive):
            effect[kind] -= effect[kind].mean()
        design = self.design_effect(effect)
        here = design * float(of_high[0] + of_low[0])
        scale = design * self._trusted(sampled, here) * student(self.positives)
        truth = shares @ expected
        return Family(truth, truth, scale * spread.sum(axis=0))

    def _trusted(self, found: float, here: float) -> float:
        """Factor on the model's variance, which has more effect the more cases there are."""
        few = int(self.rarer.sum())
        ratio = float(np.clip(found / max(here, 1e-300), 0.05, 20))
        return float(ratio ** (few / (few + TRUSTED))) if found > 0 else 1.0

    def calibration_family(self, chance: Floats, bins: NDArray[np.intp], gaps: Floats) -> Family:
        """Family of the expected calibration error: the sum over bins of absolute gaps.

        Candidate truths lie between probabilities without an error and those of a logistic
        recalibration, or beyond (`radscale_lib.tasks.recalibration`).

        Args:
            chance: [n], predicted probabilities.
            bins: [n], which of the K bins each case is in.
            gaps: [K], sum of probability minus truth in each bin, divided by the number of cases.
        """
        effect = np.sign(gaps)[bins] * (chance - self.positive)
        for kind in (self.positive, ~self.positive):
            effect[kind] -= effect[kind].mean()
        observed = float(np.abs(gaps).sum())
        errors, expected, spread = error_moments(
            chance,
            recalibrated(self.logits.clip(-LARGEST, LARGEST), self.positive),
            bins,
            (self.positives, self.negatives),
            observed,
            self.design_effect(effect),
        )
        truth = ndtr(ndtri(min(max(observed, float(expected[0])), 1 - 1e-6)) + SHIFTS)
        truth[0] = 0.0  # without any error, the best possible
        # Beyond the largest one simulated, noise adds as much as there.
        mean = np.interp(truth, errors, expected) + np.maximum(truth - errors[-1], 0)
        variance = np.interp(truth, errors, spread)
        return Family(truth, mean, np.maximum(variance, 1e-14), least=float(mean[0]))

    def sampled(self, value: float, variance: float, bias: float = 0.0) -> Family:
        """Family of a score whose variance and bias only the bootstrap gives."""
        return sampled_family(value, variance, len(np.unique(self.patient[self.rarer])), bias)


@cache
def _normal_nodes() -> tuple[Floats, Floats]:
    """Nodes of a standard normal, and weights that add up to 1 (Gauss and Hermite): [32] each."""
    nodes, weights = hermegauss(32)
    return nodes, weights / weights.sum()


def _share_below(ours: NDArray[np.floating], others: NDArray[np.floating]) -> Floats:
    """Share of the others below each of ours, ties counting one half."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, ours) + np.searchsorted(ranked, ours, "right")
    return np.asarray(below / (2 * len(others)))
