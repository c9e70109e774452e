"""AUROC and AUPRC against scikit-learn; the patient bootstrap against explicit resampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from radscale_lib.metrics import auprc as auprc_module
from radscale_lib.metrics import auroc as auroc_module
from radscale_lib.tasks.bootstrap import CELLS, PatientDraws, interval
from radscale_lib.tasks.ranking import Ranking, resampled

METRICS = auroc_module.METRIC, auprc_module.METRIC


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.sampled_from([0, 1, 6]))
def test_equal_to_scikit_learn_with_weights_and_ties(seed, images, decimals):
    random = np.random.default_rng(seed)
    truth = random.random(images) < 0.4
    score = np.round(random.normal(size=images) + truth, decimals)
    weights = random.integers(0, 3, (5, images))
    auroc, auprc = Ranking.from_scores(truth, score, weights.T).values(METRICS)
    for row, area, precision in zip(weights, auroc, auprc, strict=True):
        if len(set(truth[row > 0])) < 2:
            assert np.isnan(area)
            assert np.isnan(precision)
            continue
        assert area == pytest.approx(roc_auc_score(truth, score, sample_weight=row), abs=1e-12)
        expected = average_precision_score(truth, score, sample_weight=row)
        assert precision == pytest.approx(expected, abs=1e-12)


def _explicit(draws, draw):
    """Images of one resample, each repeated as often as its patient was drawn."""
    return np.repeat(np.arange(len(draws.patient)), draws.counts[draw][draws.patient])


def test_resamples_equal_scikit_learn_on_repeated_rows():
    random = np.random.default_rng(1)
    patients = [f"p{index // 3}" for index in range(60)]
    truth = random.random(60) < 0.3
    score = np.round(random.normal(size=60) + truth, 1)
    draws = PatientDraws.draw(patients, 30, seed=4)
    auroc, auprc = resampled(METRICS, truth, score, np.arange(60), draws)
    for draw in range(30):
        rows = _explicit(draws, draw)
        assert auroc[draw] == pytest.approx(roc_auc_score(truth[rows], score[rows]))
        assert auprc[draw] == pytest.approx(average_precision_score(truth[rows], score[rows]))


def test_some_images_keep_the_draws_of_their_patients():
    patients = [f"p{index // 2}" for index in range(40)]
    draws = PatientDraws.draw(patients, 10, seed=0)
    random = np.random.default_rng(2)
    images = np.sort(random.choice(40, 25, replace=False))
    truth, score = random.random(40) < 0.5, random.normal(size=40)
    auroc, _ = resampled(METRICS, truth[images], score[images], images, draws)
    for draw in range(10):
        rows = [row for row in _explicit(draws, draw) if row in set(images)]
        assert auroc[draw] == pytest.approx(roc_auc_score(truth[rows], score[rows]))


def test_draws_depend_on_the_patients_only():
    patients = ["c", "a", "b", "a", "d"]
    draws = PatientDraws.draw(patients, 50, seed=9)
    shuffled = PatientDraws.draw(["a", "b", "c", "d"], 50, seed=9)
    assert np.array_equal(draws.counts, shuffled.counts)
    assert (draws.counts.sum(1) == 4).all()
    assert np.array_equal(draws.counts[:, draws.patient[1]], draws.counts[:, draws.patient[3]])
    assert not np.array_equal(draws.counts, PatientDraws.draw(patients, 50, seed=10).counts)


def test_sums_equal_explicit_sums():
    random = np.random.default_rng(3)
    values = random.integers(0, 9, (12, 4))
    draws = PatientDraws.draw([f"p{index % 5}" for index in range(12)], 20, seed=1)
    sums = draws.sums(values)
    for draw in range(20):
        assert np.array_equal(sums[draw], values[_explicit(draws, draw)].sum(0))


def test_chunks_do_not_change_the_resamples(monkeypatch):
    patients = [f"p{index // 2}" for index in range(30)]
    random = np.random.default_rng(6)
    truth, score = random.random(30) < 0.5, random.normal(size=30)
    draws = PatientDraws.draw(patients, 21, seed=0)
    whole = resampled(METRICS, truth, score, np.arange(30), draws)
    monkeypatch.setattr("radscale_lib.tasks.bootstrap.CELLS", 70)
    monkeypatch.setattr("radscale_lib.tasks.bootstrap.FEWEST_AT_ONCE", 1)
    assert CELLS > 70
    parts = resampled(METRICS, truth, score, np.arange(30), draws)
    assert np.array(parts) == pytest.approx(np.array(whole), abs=1e-12, nan_ok=True)


def test_one_class_resamples_are_undefined_and_left_out_of_the_interval():
    draws = PatientDraws(np.array([[2, 0], [1, 1], [0, 2]], np.uint8), np.array([0, 1]))
    truth, score = np.array([True, False]), np.array([1.0, 0.0])
    auroc, _ = resampled(METRICS, truth, score, np.arange(2), draws)
    assert np.isnan(auroc).tolist() == [True, False, True]
    assert interval(auroc, 0.9) == (1.0, 1.0)
    assert np.isnan(interval(np.full(3, np.nan), 0.9)).all()


def test_interval_is_the_percentile_interval():
    values = np.append(np.arange(101.0), np.nan)
    assert interval(values, 0.9) == pytest.approx((5, 95))
