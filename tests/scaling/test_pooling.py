"""Labels borrow strength from their task, and average to its curve."""

import numpy as np
import pytest

from radscale_lib.scaling.pooling import LabelRuns, pool

SIZES = np.repeat([30e3, 50e3, 100e3, 300e3, 1e6, 3.5e6], 3)
COUNT = 2000


def label_runs(rng, slopes, noise, levels=None, resamples=200):
    """Runs of one arm whose labels have these departures from the macro slope, and test noise."""
    x = np.log(SIZES / SIZES.mean())
    levels = np.zeros(len(slopes)) if levels is None else levels
    own = rng.normal(0, 1, (SIZES.size, len(slopes))) * noise
    log_share = levels + np.outer(x, slopes) + own
    # The labels' errors average to the task's, in every run and draw.
    log_share -= np.log(np.exp(log_share).mean(axis=1, keepdims=True))
    draws = log_share + rng.normal(0, 1, (resamples, *log_share.shape)) * noise
    draws -= np.log(np.exp(draws).mean(axis=2, keepdims=True))
    return LabelRuns(
        log_sizes=np.log(SIZES),
        log_share=log_share,
        shares=[np.exp(draws[:, :, j]) for j in range(len(slopes))],
        resample=rng.permutation(COUNT) % resamples,
    )


def departures(found, low=30e3, high=3.5e6):
    """Log share gained from one size to another: [draws, labels]."""
    return found.log_shares(high) - found.log_shares(low)


def test_a_label_with_few_positives_borrows_what_one_with_many_keeps():
    rng = np.random.default_rng(0)
    slopes = rng.normal(0, 0.02, 12)
    noise = np.array([0.01] * 11 + [0.25])
    names = tuple(f"label {j}" for j in range(12))
    found = pool(names, {"arm": label_runs(rng, slopes, noise)}, (0, 0))["arm"]
    assert found.own[:11].min() > 0.8
    assert found.own[11] < 0.4
    # Alone, the noisy label's slope is known to 0.25 / sqrt(18) / 1.6 = 0.04 only.
    assert found.slope[:, 11].std() < 0.03
    assert found.slope[:, 0].std() < 0.004


def test_pooled_slopes_are_nearer_to_the_truth_than_single_ones():
    rng = np.random.default_rng(1)
    pooled, single = [], []
    for _ in range(10):
        slopes = rng.normal(0, 0.02, 40)
        noise = rng.uniform(0.03, 0.3, 40)
        runs = label_runs(rng, slopes, noise)
        found = pool(tuple(map(str, range(40))), {"arm": runs}, (0, 0))["arm"]
        truth = slopes - slopes.mean()
        x = np.log(SIZES) - np.log(SIZES).mean()
        alone = x @ runs.log_share / (x**2).sum()
        pooled.append(((found.slope.mean(axis=0) - truth) ** 2).mean())
        single.append(((alone - truth) ** 2).mean())
    assert np.mean(pooled) < 0.6 * np.mean(single)


def test_intervals_of_labels_hold_the_truth():
    rng = np.random.default_rng(2)
    held = []
    for _ in range(12):
        common = rng.normal(0, 0.03, 20)
        arms = {f"arm {i}": common + rng.normal(0, 0.01, 20) for i in range(3)}
        noise = rng.uniform(0.02, 0.2, 20)
        runs = {name: label_runs(rng, slopes, noise) for name, slopes in arms.items()}
        for name, found in pool(tuple(map(str, range(20))), runs, (0, 0)).items():
            low, high = np.quantile(found.slope, [0.05, 0.95], axis=0)
            truth = arms[name]
            # Departures are relative to the macro curve: their mean is what normalising takes.
            offset = np.log(np.exp(truth).mean())
            held += list((low <= truth - offset) & (truth - offset <= high))
    assert 0.86 <= np.mean(held) <= 0.94


def test_other_arms_tell_of_a_label():
    """A label that departs in two arms, and is too noisy in a third to tell."""
    rng = np.random.default_rng(3)
    slopes = np.append(rng.normal(0, 0.02, 11), 0.08)
    quiet, loud = np.full(12, 0.01), np.append(np.full(11, 0.01), 0.3)
    names = tuple(map(str, range(12)))
    runs = {
        "one": label_runs(rng, slopes, quiet),
        "two": label_runs(rng, slopes, quiet),
        "third": label_runs(rng, slopes, loud),
    }
    alone = pool(names, {"third": runs["third"]}, (0, 0))["third"]
    beside = pool(names, runs, (0, 0))["third"]
    truth = 0.08 - slopes.mean()
    assert abs(beside.slope[:, 11].mean() - truth) < 0.02
    assert beside.slope[:, 11].std() < 0.6 * alone.slope[:, 11].std()


def test_labels_average_to_the_macro_curve_in_every_draw():
    rng = np.random.default_rng(4)
    runs = label_runs(rng, rng.normal(0, 0.03, 7), np.full(7, 0.05), levels=rng.normal(0, 0.4, 7))
    found = pool(tuple("abcdefg"), {"arm": runs}, (0, 0))["arm"]
    for size in (30e3, 400e3, 7e6):
        np.testing.assert_allclose(np.exp(found.log_shares(size)).mean(axis=1), 1)


def test_a_macro_that_is_no_mean_of_its_labels_leaves_them_as_they_are():
    rng = np.random.default_rng(5)
    runs = label_runs(rng, np.zeros(3), np.full(3, 0.01))
    half = LabelRuns(runs.log_sizes, runs.log_share[:, :2] + 0.5, runs.shares[:2], runs.resample)
    found = pool(("a", "b"), {"arm": half}, (0, 0))["arm"]
    assert found.log_shares(1e6).mean() == pytest.approx(0.5, abs=0.03)


def test_labels_without_draws_or_with_one_seed_and_three_sizes():
    rng = np.random.default_rng(6)
    runs = label_runs(rng, np.zeros(4), np.full(4, 0.02))
    few = slice(0, 9, 3)
    bare = LabelRuns(runs.log_sizes[few], runs.log_share[few], [None] * 4, runs.resample)
    found = pool(tuple("abcd"), {"arm": bare}, (0, 0))["arm"]
    assert np.isfinite(found.log_shares(3.5e6)).all()


def test_the_same_seed_gives_the_same_draws():
    runs = {"arm": label_runs(np.random.default_rng(7), np.zeros(3), np.full(3, 0.02))}
    one, two = (pool(tuple("abc"), runs, (1, 2))["arm"] for _ in range(2))
    np.testing.assert_array_equal(departures(one), departures(two))
