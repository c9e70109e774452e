import numpy as np
import pytest

from radscale_lib.scaling.compare import compare
from radscale_lib.scaling.fit import fit
from radscale_lib.scaling.simulate import simulate_scores

SIZES = np.array([50, 100, 200, 400, 1200])


def arm(a, b, stream, patients=None, **options):
    errors = a * SIZES**-b
    draws = None if patients is None else errors * np.exp(patients)
    noise = np.full(5, 0.005) * errors
    return fit(SIZES, errors, draws=draws, standard_errors=noise, stream=stream, **options).ensemble


def test_the_steeper_arm_wins_beyond_the_crossing():
    steep, flat = arm(1.2, 0.4, 0), arm(0.3, 0.12, 1)
    crossing = (1.2 / 0.3) ** (1 / 0.28)
    found = compare(steep, flat, [50, crossing, 1200])
    assert found.ahead[0] < 0.01
    assert 0.2 < found.ahead[1] < 0.8
    assert found.ahead[2] > 0.99
    for size, (middle, low, high) in zip([50, 1200], found.difference[::2], strict=True):
        assert low < middle < high
        assert low < 0.3 * size**-0.12 - 1.2 * size**-0.4 < high
    assert found.slope[1] < 0.28 < found.slope[2]


def test_turning_the_arms_turns_the_signs():
    one, two = arm(1.2, 0.4, 0), arm(0.3, 0.12, 1)
    there, back = compare(one, two, [400]), compare(two, one, [400])
    assert there.ahead[0] == pytest.approx(1 - back.ahead[0])
    assert there.difference[0][0] == pytest.approx(-back.difference[0][0])
    assert there.difference[0][1] == pytest.approx(-back.difference[0][2])


def test_test_patients_that_are_hard_for_both_arms_cancel():
    patients = np.random.default_rng(0).normal(0, 0.2, (300, 1))
    one, two = (arm(a, 0.3, i, patients=patients) for i, a in enumerate((0.9, 0.8)))
    _, low, high = compare(one, two, [1200]).difference[0]
    alone = np.ptp(np.quantile(one.errors([1200]), [0.05, 0.95]))
    assert high - low < 0.2 * alone
    assert high < 0


def test_unpaired_draws_are_refused():
    with pytest.raises(ValueError, match="not paired"):
        compare(arm(0.9, 0.3, 0), arm(0.8, 0.3, 1, count=1000), [1200])


def test_streams_are_independent_and_elasticity_is_that_of_the_law():
    one, two = arm(0.9, 0.3, 0), arm(0.9, 0.3, 1)
    assert abs(np.corrcoef(one.elasticity, two.elasticity)[0, 1]) < 0.1
    np.testing.assert_array_equal(one.resample, two.resample)
    assert np.median(one.elasticity) == pytest.approx(0.3, rel=0.1)


def test_nested_subsets_share_luck_in_the_simulation(study):
    def logs(nested):
        scores = [
            simulate_scores(study, lambda run, task: 0.2, patients=4, own_sd=0, shared_sd=0,
                            resamples=2, seed_sd=0.1, nested=nested, seed=seed)
            for seed in range(12)
        ]  # fmt: skip
        rows = [
            table.filter((table["target"] == "macro") & (table["size"] > 0))
            .sort("task", "arm", "seed", "size")["value"]
            .to_numpy()
            for table in scores
        ]
        return np.log(1 - np.concatenate(rows)).reshape(-1, 5)

    shared, apart = np.corrcoef(logs(1.0).T), np.corrcoef(logs(0.0).T)
    assert shared[0, 1] == pytest.approx(np.sqrt(50 / 100), abs=0.1)
    assert shared[3, 4] == pytest.approx(np.sqrt(400 / 1200), abs=0.12)
    assert abs(apart[0, 1]) < 0.15
    assert logs(1.0).std() == pytest.approx(0.1, rel=0.15)
