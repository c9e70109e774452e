import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scaling import Curve, weighted_law
from radscale_lib.scaling.errors import ScalingError, chance_error, to_error
from radscale_lib.scaling.fit import fit
from radscale_lib.scaling.laws import DEFAULT, FORMS, LEAST_SQUARES, even_powers, shapes
from radscale_lib.scaling.noise import nested_luck, split_noise
from radscale_lib.scaling.posterior import NOISE_POWER_TREND, SMOOTH, least_squares_shape, posterior

SIZES = np.array([50, 100, 200, 400, 1200])


def noisy(a, b, c, seeds=2, sd=0.02, seed=0, sizes=SIZES):
    size = np.repeat(sizes, seeds)
    noise = np.random.default_rng(seed).normal(0, sd, size.size)
    return size, (a * size**-b + c) * np.exp(noise)


@pytest.mark.parametrize("b", [0.08, 0.2, 0.45])
def test_recovers_a_planted_exponent(b):
    found = fit(SIZES, 0.9 * SIZES**-b)
    assert found.laws["power"].b == pytest.approx(b, rel=0.03)
    assert found.laws["power"].a == pytest.approx(0.9, rel=0.05)
    assert found.rises > 0.99
    size, error = noisy(0.9, b, 0)
    _, draws, *_ = fit(size, error).ensembles["power"].parameters
    assert np.quantile(draws, 0.01) < b < np.quantile(draws, 0.99)


def test_recovers_a_planted_floor():
    sizes = np.array([50, 150, 500, 1500, 5000, 20000])
    found = fit(sizes, 2 * sizes**-0.6 + 0.1)
    law = found.laws["power_floor"]
    assert law.c == pytest.approx(0.1, rel=0.15)
    assert found.probability["power_floor"] > found.probability["power"]
    _, exponents, floors, _ = found.ensembles["power_floor"].parameters
    for draws, truth in ((exponents, 0.6), (floors, 0.1)):
        low, high = np.quantile(draws, [0.05, 0.95])
        assert low < truth < high


def test_flat_is_not_called_rising():
    rises = [fit(*noisy(0.3, 0, 0, seed=seed)).rises for seed in range(60)]
    assert np.mean(np.array(rises) > 0.95) <= 0.1
    assert 0.3 < np.mean(rises) < 0.7


def test_clear_rise_and_fall_are_told():
    assert fit(*noisy(0.9, 0.25, 0)).rises > 0.99
    assert fit(*noisy(0.1, -0.2, 0)).rises < 0.01


def test_central_laws_follow_the_curves_drawn_from_their_form():
    found = fit(*noisy(0.9, 0.3, 0.05), forms=FORMS[1:])
    assert list(found.laws) == ["constant", "power", "power_floor", "double_saturating"]
    for form in ("power", "power_floor", "double_saturating"):
        middle = found.ensembles[form].centre(SIZES)
        np.testing.assert_allclose(found.laws[form].errors(SIZES), middle, rtol=0.1)
    level = found.laws["constant"].a
    assert found.laws["constant"].b == 0
    curve = np.median(found.ensembles["constant"].errors(SIZES), axis=0)
    assert level == pytest.approx(np.exp(np.log(curve).mean()), rel=0.02)


def test_ensemble_parameters_give_its_errors():
    ensemble = fit(*noisy(0.9, 0.3, 0.05)).ensemble
    a, b, c, d = (values[:, None] for values in ensemble.parameters)
    law = a * (SIZES[None, :] + d) ** -b + c
    knots = [int(np.argmin(np.abs(ensemble.knots - np.log(n / 1200)))) for n in SIZES]
    expected = law * np.exp(ensemble.misfit[:, knots])
    np.testing.assert_allclose(ensemble.errors(SIZES), np.minimum(expected, 1), rtol=1e-6)


def test_precise_curves_are_followed_where_they_leave_the_law():
    errors = np.array([0.40, 0.39, 0.30, 0.21, 0.15])
    found = fit(SIZES, errors, standard_errors=0.002 * errors, seed_noise=(0.003, 50))
    middle = np.median(found.ensemble.errors(SIZES), axis=0)
    np.testing.assert_allclose(middle, errors, rtol=0.03)


def test_predictions_stay_below_chance():
    found = fit(*noisy(2.2, 0.4, 0), cap=0.5)
    assert found.ensemble.errors([5, 50]).max() <= 0.5


def test_test_patients_widen_the_level_but_not_the_change():
    size, error = noisy(0.9, 0.3, 0, sd=0.005)
    shared = np.random.default_rng(1).normal(0, 0.2, (400, 1))
    draws = error * np.exp(shared)
    alone, joint = fit(size, error), fit(size, error, draws=draws)
    ends = [50, 1200]

    def spread(found):
        logs = np.log(found.ensemble.errors(ends))
        return logs[:, 1].std(), (logs[:, 0] - logs[:, 1]).std()

    assert spread(joint)[0] == pytest.approx(0.2, rel=0.1)
    assert spread(joint)[1] == pytest.approx(spread(alone)[1], rel=0.2)


def test_draw_i_of_two_curves_belongs_to_one_resample():
    draws = np.exp(np.random.default_rng(1).normal(0, 0.1, (300, 10)))
    one, two = (fit(*noisy(0.9, b, 0), draws=draws, seed=7).ensemble for b in (0.2, 0.4))
    np.testing.assert_array_equal(one.resample, two.resample)


def test_noise_is_split_into_shared_and_own():
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, 0.1, (20000, 1)), rng.normal(0, 0.05, (20000, 6))
    found = split_noise(np.exp(shared + own), 6)
    assert found.shift.std() == pytest.approx(0.1, rel=0.03)
    np.testing.assert_allclose(found.own, 0.05**2, rtol=0.15)
    assert np.corrcoef(found.shift, shared[:, 0])[0, 1] > 0.95


def test_independent_noise_has_no_shared_part():
    found = split_noise(np.exp(np.random.default_rng(0).normal(0, 0.1, (20000, 6))), 6)
    assert found.shift.std() < 0.01


def test_larger_standard_errors_give_wider_intervals():
    widths = []
    for se in (0.001, 0.02):
        draws = fit(SIZES, 0.9 * SIZES**-0.3, standard_errors=np.full(5, se)).ensemble
        widths.append(np.ptp(np.quantile(draws.errors([1200]), [0.05, 0.95])))
    assert widths[1] > 2 * widths[0]


def test_runs_of_a_seed_share_luck_by_how_far_they_are_nested():
    sizes = np.array([100.0, 400.0, 400.0])
    found = nested_luck(np.array([0, 0, 1]), sizes)
    np.testing.assert_allclose(found, [[1, 0.25, 0], [0.25, 1, 0], [0, 0, 1]])


def test_luck_shared_between_sizes_leaves_the_level_less_sure():
    size, error = noisy(0.3, 0, 0, seeds=1, sd=0.03)
    apart = fit(size, error, seed_noise=(0.03, 100)).trend
    nested = fit(size, error, seeds=np.zeros(5), seed_noise=(0.03, 100)).trend
    spread = [np.log(one.errors([200])).std() for one in (apart, nested)]
    assert spread[1] > 1.15 * spread[0]


def test_test_noise_is_not_counted_twice():
    """Seeds of a size differ by their own test noise too: it is in the pooled variance already."""
    size, error = noisy(0.3, 0, 0, seeds=2, sd=0.05)
    draws = error * np.random.default_rng(0).lognormal(0, 0.05, (4000, error.size))
    both = fit(size, error, draws=draws, seed_noise=(0.05, 200)).trend
    seeds_alone = fit(size, error, seed_noise=(0.05, 200)).trend
    spread = [np.diff(np.log(one.errors([50, 1200]))).std() for one in (both, seeds_alone)]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)


def test_trend_and_probability_of_a_rise_agree():
    for b in (0.0, 0.01, 0.05):
        found = fit(*noisy(0.3, b, 0))
        assert (found.trend.exponent > 0).mean() == pytest.approx(found.rises, abs=0.01)


@pytest.mark.parametrize(("b", "own"), [(0.0, 0.04), (0.0, 0.01), (0.1, 0.04)])
def test_a_trend_is_claimed_as_often_as_is_said(b, own):
    """Seeds of 3 %, half of it shared by nested subsets, and test noise: nominal 90 and 5 %."""
    rng = np.random.default_rng(0)
    seeds, size = np.repeat([0, 1], 5), np.tile(SIZES, 2).astype(float)
    luck = np.linalg.cholesky(nested_luck(seeds, size))
    held, rising = [], []
    for _ in range(300):
        noise = 0.03 * luck @ rng.normal(size=10) + rng.normal(0, own, 10)
        pooled = np.hypot(0.03, own) * np.sqrt(rng.chisquare(10) / 10)
        found = posterior(
            even_powers(), np.log(size / 1200), noise - b * np.log(size / 1200),
            np.full(10, own**2), nested_luck(seeds, size), (pooled, 10.0),
            misfits=np.zeros(1), kinds=(SMOOTH,),
        )  # fmt: skip
        order = np.argsort(found.grid.exponent)
        below = np.cumsum(found.weights.sum(axis=0)[order])
        low, high = found.grid.exponent[order][np.searchsorted(below, [0.05, 0.95])]
        held.append(low <= b <= high)
        rising.append(found.weights[:, found.grid.exponent > 0].sum() > 0.95)
    assert 0.86 <= np.mean(held) <= 0.95
    if b == 0:
        assert np.mean(rising) <= 0.085


@pytest.mark.parametrize("luck", [0.01, 0.02, 0.04])
def test_a_trend_of_one_seed_is_claimed_no_more_often_than_is_said(luck):
    """How far seeds differ is not known then: flat curves must not count as quiet ones."""
    rng = np.random.default_rng(0)
    own, size = np.full(5, 0.01**2), np.array(SIZES, dtype=float)
    nested = nested_luck(np.zeros(5), size)
    root = np.linalg.cholesky(luck**2 * nested + np.diag(own))
    called = []
    for _ in range(200):
        found = posterior(
            even_powers(), np.log(size / 1200), root @ rng.normal(size=5), own, nested, None,
            misfits=np.zeros(1), kinds=(SMOOTH,), noise_power=NOISE_POWER_TREND,
        )  # fmt: skip
        rises = found.weights[:, found.grid.exponent > 0].sum()
        called.append(not 0.05 <= rises <= 0.95)
    assert np.mean(called) <= 0.12


def test_standard_errors_may_hold_the_noise_of_seeds_and_draws_of_patients_do_not():
    size, error = noisy(0.3, 0.2, 0.02, seeds=1)
    draws = error * np.random.default_rng(0).lognormal(0, 0.01, (4000, error.size))
    given = fit(size, error, standard_errors=0.01 * error).trend
    drawn = fit(size, error, draws=draws).trend
    assert drawn.exponent.std() > 1.1 * given.exponent.std()


def test_seed_noise_known_from_other_curves_widens_the_interval():
    size, error = noisy(0.9, 0.3, 0, seeds=1, sd=0.005)
    quiet = fit(size, error, seed_noise=(0.005, 20)).ensemble.errors([1200]).std()
    loud = fit(size, error, seed_noise=(0.1, 20)).ensemble.errors([1200]).std()
    assert loud > 2 * quiet


@pytest.fixture(scope="module")
def reference():
    return fit(*noisy(0.09, 0.3, 0.005), cap=100)


@settings(max_examples=15, deadline=None)
@given(
    error_unit=st.floats(0.2, 5),
    size_unit=st.floats(0.1, 1e4),
    order=st.permutations(range(10)),
)
def test_units_and_order_do_not_matter(reference, error_unit, size_unit, order):
    size, error = noisy(0.09, 0.3, 0.005)
    order = np.array(order)
    other = fit(size[order] * size_unit, error[order] * error_unit, cap=100)
    assert other.rises == pytest.approx(reference.rises, abs=1e-6)
    ends, reference_ends = (
        np.quantile(found.ensemble.errors(SIZES * unit), [0.05, 0.5, 0.95], axis=0)
        for found, unit in ((other, size_unit), (reference, 1))
    )
    # Rounding moves a few draws to the next cell of the grid.
    np.testing.assert_allclose(ends / error_unit, reference_ends, rtol=2e-3)


def test_same_input_gives_the_same_draws():
    one, two = (fit(*noisy(0.9, 0.3, 0.05), seed=3).ensemble.errors(SIZES) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("sampled", [False, True])
def test_the_order_of_runs_does_not_change_a_bit(sampled):
    rng = np.random.default_rng(4)
    size, error = noisy(0.9, 0.3, 0.05, seeds=3)
    draws = error * np.exp(rng.normal(0, 0.1, (40, size.size))) if sampled else None
    turn = rng.permutation(size.size)
    turned = None if draws is None else draws[:, turn]
    one, two = fit(size, error, draws=draws), fit(size[turn], error[turn], draws=turned)
    np.testing.assert_array_equal(one.ensemble.errors(SIZES), two.ensemble.errors(SIZES))


@pytest.mark.parametrize(
    ("sizes", "errors", "message"),
    [
        ([50, 100], [0.3, 0.2], "2 of at least 3 sizes"),
        ([50, 50, 100, 100], [0.3, 0.3, 0.2, 0.2], "2 of at least 3 sizes"),
        ([50, 100, 200], [0.3, np.nan, 0.1], "drop missing runs"),
        ([50, 100, 200], [0.3, 0.0, 0.1], "positive"),
        ([0, 100, 200], [0.3, 0.2, 0.1], "positive"),
        ([50, 100, 200], [0.3, 0.2], "equal rows"),
    ],
)
def test_unusable_data_are_refused(sizes, errors, message):
    with pytest.raises(ScalingError, match=message):
        fit(sizes, errors)


def test_three_sizes_are_enough():
    assert fit([50, 200, 1200], [0.3, 0.2, 0.1]).rises > 0.8


def test_metrics_become_errors():
    np.testing.assert_allclose(to_error([0.9, 1.0, 0.0], 0.01), [0.1, 0.01, 1.0])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        to_error([0.5, 1.2])
    assert chance_error("auroc") == 0.5
    assert chance_error("auprc", 0.2) == 0.8
    assert chance_error("dice") == 1.0


def test_the_centre_is_the_mean_of_the_log_draws_and_stays_below_chance():
    found = fit(SIZES, [0.49, 0.485, 0.49, 0.48, 0.485], cap=0.486).ensemble
    sizes = [50, 400, 2400]
    mean = np.exp(found.log_errors(sizes).mean(axis=0))
    np.testing.assert_allclose(found.centre(sizes), np.minimum(mean, 0.486))
    assert found.centre(sizes).max() == 0.486


def test_the_shape_of_least_squares_is_that_of_the_weighted_law():

    for seed, (b, c) in enumerate([(0.3, 0.0), (0.6, 0.1), (2.5, 0.05), (0.0, 0.2)]):
        size, error = noisy(0.9, b, c, seeds=1, seed=seed)
        peer = np.exp(weighted_law(Curve("", "", size, error, None, SIZES * 5.66, SIZES)))
        log_u = np.log(size / size[-1])
        shape = least_squares_shape(shapes(DEFAULT), log_u, np.log(error))
        weight = np.exp(2 * log_u)
        level = (np.log(error) - shape.log_relative(log_u)[0]) @ weight / weight.sum()
        ours = np.exp(level + shape.log_relative(np.log(SIZES * 5.66 / size[-1]))[0])
        np.testing.assert_allclose(ours, peer, rtol=0.02)


def test_the_shape_of_least_squares_is_a_third_of_the_draws_and_of_no_form():
    found = fit(*noisy(0.9, 0.3, 0.05, seeds=1))
    assert (found.ensemble.form == LEAST_SQUARES).mean() == pytest.approx(1 / 3, abs=0.01)
    assert sum(found.probability.values()) == pytest.approx(1)
    alone = found.ensemble.exponent[found.ensemble.form == LEAST_SQUARES]
    assert np.ptp(alone) == 0
    level = fit(*noisy(0.9, 0, 0, seeds=1), forms=())
    assert not (level.ensemble.form == LEAST_SQUARES).any()
