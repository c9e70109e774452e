"""The probe: what it minimises, and what it makes of unknown and constant labels."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss

from radscale_lib.tasks.probe import Standardiser, choose, fit_path, log_loss


def _data(images=300, size=12, labels=4, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(size=(images, size)) * np.linspace(3, 0.2, size) + 5
    weights = random.normal(size=(size, labels))
    logits = (features - 5) @ weights - np.linspace(0, 3, labels)
    targets = (random.random((images, labels)) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    targets[random.random(targets.shape) < 0.2] = np.nan
    return features, targets


def test_solution_has_no_gradient_on_the_known_rows_of_each_label():
    raw, targets = _data()
    features = Standardiser.fit(raw)(raw)
    penalties = (1e-3, 1e-1, 1e-2)
    probes = fit_path(features, targets, penalties, tolerance=1e-15, iterations=5000)
    assert [probe.penalty for probe in probes] == sorted(penalties, reverse=True)
    for probe in probes:
        probabilities = 1 / (1 + np.exp(-probe.logits(features)))
        for label in range(targets.shape[1]):
            known = ~np.isnan(targets[:, label])
            residual = (probabilities[known, label] - targets[known, label]) / known.sum()
            weights = features[known].T @ residual + probe.penalty * probe.weights[:, label]
            assert weights == pytest.approx(np.zeros(len(weights)), abs=1e-6)
            assert residual.sum() == pytest.approx(0, abs=1e-6)
            assert np.abs(probe.weights[:, label]).max() > 1e-2


def _excess(features, targets, probes):
    """By how much of it each label's least loss is exceeded, by scikit-learn's."""
    found = []
    for probe in probes:
        for label in range(targets.shape[1]):
            known = ~np.isnan(targets[:, label])
            rows, truth = features[known], targets[known, label]
            model = LogisticRegression(
                C=1 / (probe.penalty * known.sum()), tol=1e-10, max_iter=10_000
            ).fit(rows, truth)
            losses = [
                np.mean(np.logaddexp(0, rows @ weights + bias) - truth * (rows @ weights + bias))
                + probe.penalty / 2 * weights @ weights
                for weights, bias in (
                    (probe.weights[:, label], probe.biases[label]),
                    (model.coef_[0], model.intercept_[0]),
                )
            ]
            found.append(losses[0] / losses[1] - 1)
    return np.array(found)


@pytest.mark.parametrize(
    ("images", "size", "penalties"),
    [(300, 12, (1e-1, 1e-3)), (60, 90, (1.0, 1e-4)), (300, 12, (1e-6,))],
    ids=["tall", "wide: every label can be told apart", "weak, without stronger ones before"],
)
def test_losses_are_those_of_scikit_learn(images, size, penalties):
    raw, targets = _data(images, size, seed=1)
    targets[:, 3] = np.nan
    targets[:40, 3] = np.arange(40) == 7  # a single positive
    features = Standardiser.fit(raw)(raw)
    excess = _excess(features, targets, fit_path(features, targets, penalties))
    assert np.abs(excess).max() < 1e-6


def test_double_precision_and_single_agree():
    raw, targets = _data(seed=1)
    features = Standardiser.fit(raw)(raw)
    usual = fit_path(features, targets, (1e-3,))[0].logits(features)
    exact = fit_path(features, targets, (1e-3,), tolerance=1e-14)[0]
    assert usual == pytest.approx(exact.logits(features), abs=5e-3)


def test_labels_do_not_influence_each_other():
    raw, targets = _data(seed=2)
    features = Standardiser.fit(raw)(raw)
    together = fit_path(features, targets, (1e-2,), tolerance=1e-14)[0]
    alone = fit_path(features, targets[:, [2]], (1e-2,), tolerance=1e-14)[0]
    assert together.weights[:, 2] == pytest.approx(alone.weights[:, 0], abs=1e-5)


def test_constant_or_unknown_labels_rank_nothing():
    raw, targets = _data(labels=3, seed=3)
    targets[:, 0] = np.where(np.isnan(targets[:, 0]), np.nan, 1)
    targets[:, 1] = np.nan
    features = Standardiser.fit(raw)(raw)
    probe = fit_path(features, targets, (1e-4,))[0]
    assert (probe.weights[:, :2] == 0).all()
    assert np.isfinite(probe.biases).all()
    assert np.ptp(probe.logits(features)[:, 0]) == 0
    assert np.ptp(probe.logits(features)[:, 2]) > 1


def test_log_loss_is_the_mean_over_known_cells():
    random = np.random.default_rng(4)
    logits = random.normal(size=(50, 2))
    targets = (random.random((50, 2)) < 0.5).astype(float)
    targets[:10, 0] = np.nan
    losses = log_loss(logits, targets)
    for label, rows in ((0, slice(10, None)), (1, slice(None))):
        probabilities = 1 / (1 + np.exp(-logits[rows, label]))
        expected = sklearn_log_loss(targets[rows, label], probabilities)
        assert losses[label] == pytest.approx(expected)
    assert np.isnan(log_loss(logits, np.full((50, 2), np.nan))).all()


def test_chosen_penalty_has_the_least_validation_loss():
    raw, targets = _data(images=120, size=60, seed=5)
    train, validation = slice(0, 60), slice(60, None)
    standardise = Standardiser.fit(raw[train])
    probes = fit_path(standardise(raw[train]), targets[train], (10.0, 1.0, 1e-1, 1e-4))
    features = standardise(raw[validation])
    chosen = choose(probes, features, targets[validation])
    losses = [np.nansum(log_loss(p.logits(features), targets[validation])) for p in probes]
    assert chosen.penalty == probes[int(np.argmin(losses))].penalty
    assert chosen.penalty > 1e-4


def test_constant_columns_stay_finite():
    raw = np.ones((10, 3), np.float16)
    assert (Standardiser.fit(raw)(raw) == 0).all()
