"""Calibration errors of test sets, against simulated ones and against scikit-learn."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn.linear_model import LogisticRegression

from radscale_lib.tasks.families import Cases
from radscale_lib.tasks.label_scores import BINS, chances
from radscale_lib.tasks.recalibration import error_moments, recalibrated


def test_many_cases_are_recalibrated_as_by_logistic_regression():
    random = np.random.default_rng(0)
    logits = random.normal(-2, 2, 5_000)
    positive = random.random(5_000) < special.expit(0.3 + 0.6 * logits)
    peer = LogisticRegression(C=np.inf, tol=1e-8).fit(logits[:, None], positive)
    found = recalibrated(logits, positive)
    assert found == pytest.approx(peer.predict_proba(logits[:, None])[:, 1], abs=1e-3)
    # Jeffreys's prior knows no scale.
    assert recalibrated(100 * logits + 7, positive) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(
    "logits", [[-3.0, -2.0, -1.0, 1.0, 2.0], [800.0] * 3 + [-800.0, 800.0], [2.0] * 5]
)
def test_classes_that_do_not_overlap_or_do_not_differ_have_finite_probabilities(logits):
    logits = np.repeat(logits, 5)
    positive = np.arange(25) >= 15
    found = recalibrated(logits, positive)
    assert (found > 0).all() and (found < 1).all()
    if np.ptp(logits) == 0:
        assert found == pytest.approx(10.5 / 26)
    chance, bins = chances(logits)
    gaps = np.bincount(bins, chance - positive, BINS) / 25
    family = Cases(positive, logits, np.arange(25)).calibration_family(chance, bins, gaps)
    assert all(np.isfinite(part).all() for part in (family.truth, family.mean, family.variance))


@pytest.mark.parametrize("sureness", [1.0, 1.5])
def test_moments_are_those_of_simulated_test_sets(sureness):
    """Of bins with a case or none: normal gaps have a standard deviation that is 1.4 times it."""
    random = np.random.default_rng(1)
    positives, negatives, separation = 20, 500, np.sqrt(2) * stats.norm.ppf(0.8)
    truth = np.arange(520) < positives

    def simulated():
        drawn = random.normal(size=520) + separation * truth
        right = separation * (drawn - separation / 2) + np.log(positives / negatives)
        chance, bins = chances(sureness * right)
        return chance, special.expit(right), bins

    errors = []
    for _ in range(1000):
        chance, _, bins = simulated()
        errors.append(np.abs(np.bincount(bins, chance - truth, BINS)).sum() / 520)
    means, spreads = [], []
    for _ in range(50):
        chance, likely, bins = simulated()
        true, mean, variance = error_moments(chance, likely, bins, (20, 500), 0.02)
        here = 0.0 if sureness == 1 else 0.0247
        means.append(np.interp(here, true, mean))
        spreads.append(np.sqrt(np.interp(here, true, variance)))
    assert np.mean(means) == pytest.approx(np.mean(errors), rel=0.08)
    assert np.mean(spreads) == pytest.approx(np.std(errors), rel=0.12)
