from dataclasses import replace

import numpy as np
import pytest

from radscale_lib.scaling.crossover import crossing_sizes, crossover, format_count, label_crossover
from radscale_lib.scaling.ensemble import Ensemble
from radscale_lib.scaling.fit import fit

SIZES = np.array([50, 100, 200, 400, 1200])


def ensemble(a, b, c, d=0.0, largest=1200.0, count=200, spread=0.02):
    """Draws of one law with a jittered level."""
    error = a * (largest + d) ** -b + c
    level = np.log(error) + spread * np.random.default_rng(0).normal(size=count)
    share, start = c / error, d / largest
    same = np.full(count, 1.0)
    knots = np.linspace(np.log(50 / largest), np.log(2), 400)
    return Ensemble(
        largest, 1.0, level, b * same, share * same, start * same, 0 * same, knots,
        np.zeros((count, knots.size)), np.full(count, 1), np.arange(count),
    )  # fmt: skip


def bisect(draws, i, target):
    """Where one draw's error meets the target, by bisection."""
    low, high = 1.0, 1e9
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if draws.errors([middle])[i, 0] > target else (low, middle)
    return middle


@pytest.mark.parametrize("target", [0.14, 0.2, 0.27])
def test_crossing_size_is_where_the_curve_meets_the_target(target):
    draws = ensemble(0.9, 0.3, 0.03)
    sizes = crossing_sizes(draws, np.full(200, target), 50)
    for i in range(0, 200, 20):
        assert sizes[i] == pytest.approx(bisect(draws, i, target), rel=1e-3)


@pytest.mark.parametrize("start", [0, 300])
def test_beyond_the_largest_size_the_law_decides(start):
    draws = ensemble(0.9, 0.3, 0.0, start)
    target = 0.9 * (5000 + start) ** -0.3
    sizes = crossing_sizes(draws, np.full(200, target), 50)
    assert (sizes > 1200).all()
    for i in range(0, 200, 40):
        assert sizes[i] == pytest.approx(bisect(draws, i, target), rel=1e-3)


def test_a_draw_that_falls_back_has_overtaken_where_it_stays_ahead():
    draws = ensemble(0.3, 0.0, 0.0, spread=0, count=1)
    bump = 0.5 * np.sin(np.linspace(0, 2.75 * np.pi, draws.knots.size))[None, :]
    wavy = replace(draws, misfit=-bump)
    place = np.exp(draws.knots) * 1200
    last_behind = place[(bump[0] < 0) & (draws.knots < 0)][-1]
    assert crossing_sizes(wavy, np.full(1, 0.3), 50)[0] == pytest.approx(last_behind, rel=0.02)


def test_never_where_the_floor_excludes_it():
    assert np.isinf(crossing_sizes(ensemble(0.9, 0.3, 0.2), np.full(200, 0.15), 50)).all()


def test_constants_and_falling_laws():
    flat = ensemble(0.3, 0.0, 0.0, spread=0)
    assert (crossing_sizes(flat, np.full(200, 0.4), 50) == 0).all()
    assert np.isinf(crossing_sizes(flat, np.full(200, 0.2), 50)).all()
    falling = ensemble(0.1, -0.1, 0.0, spread=0)
    at_largest = falling.errors([1200])[0, 0]
    assert (crossing_sizes(falling, np.full(200, at_largest * 1.01), 50) == 0).all()
    assert np.isinf(crossing_sizes(falling, np.full(200, at_largest * 0.99), 50)).all()


@pytest.mark.parametrize(
    ("target_size", "state"), [(20, "below"), (300, "within"), (4000, "above")]
)
def test_states(target_size, state):
    found = crossover(ensemble(0.9, 0.3, 0), np.full(200, 0.9 * target_size**-0.3), 50)
    assert found.state == state
    assert (found.size is not None) == (state == "within")
    if state == "within":
        assert found.lower < 300 < found.upper
        assert found.size == pytest.approx(300, rel=0.05)
        assert found.text.startswith(f"{format_count(found.size)} images (90% interval")
    if state == "below":
        assert found.text == "< 50 images"
        assert found.ahead == 1
    if state == "above":
        assert found.text == "≥ 1,200 images"
        assert found.ahead == 0


@pytest.mark.parametrize("target_size", [20, 300, 4000])
def test_a_label_of_its_arms_curve_crosses_where_the_arm_does(target_size):
    draws, target = ensemble(0.9, 0.3, 0), np.full(200, 0.9 * target_size**-0.3)
    sizes = np.geomspace(50, 1200, 41)
    arm = crossover(draws, target, 50)
    label = label_crossover(sizes, draws.log_errors(sizes), target, 1.0)
    assert label.text.split(" (")[0] == arm.text.split(" (")[0]
    assert (label.state, label.ahead) == (arm.state, arm.ahead)
    assert label.difference == pytest.approx(arm.difference)
    shifted = label_crossover(sizes, draws.log_errors(sizes) - 0.3, target * np.exp(-0.3), 1.0)
    assert (shifted.state, shifted.size, shifted.lower) == pytest.approx(
        (label.state, label.size, label.lower)
    )
    assert label_crossover(sizes, draws.log_errors(sizes), target, 1.0, decided=False).size is None


def test_not_reached():
    found = crossover(ensemble(0.9, 0.3, 0.2), np.full(200, 0.1), 50)
    assert (found.state, found.text, found.size) == ("never", "not reached", None)
    assert found.difference[2] < 0


def test_a_flat_arm_at_the_baseline_is_undetermined():
    found = crossover(ensemble(0.3, 0, 0, spread=0.05), np.full(200, 0.3), 50)
    assert found.state == "undetermined"
    assert found.text == "undetermined (90% interval < 50 to ≥ 1,200 images)"
    assert 0.3 < found.ahead < 0.7
    assert found.size is found.lower is found.upper is None


def test_an_uncertain_baseline_widens_the_interval_unless_it_moves_with_the_arm():
    draws = fit(SIZES, 0.9 * SIZES**-0.3, standard_errors=np.full(5, 1e-4)).ensemble
    noise = 0.1 * np.random.default_rng(1).normal(size=draws.log_level.size)
    target = 0.9 * 300**-0.3
    moved = replace(draws, log_level=draws.log_level + noise)
    apart = crossover(draws, target * np.exp(noise), 50)
    paired = crossover(moved, target * np.exp(noise), 50)
    ratio = [found.upper / found.lower for found in (apart, paired)]
    assert ratio[0] > 1.5 * ratio[1]


@pytest.mark.parametrize(
    ("size", "text"),
    [(50, "50"), (1200, "1,200"), (999.6, "1,000"), (30_000, "30k"), (123_456, "123k"),
     (999_999, "1M"), (3_500_000, "3.5M"), (0.2, "1")],
)  # fmt: skip
def test_numbers_of_images(size, text):
    assert format_count(size) == text


def test_no_crossover_is_claimed_unless_the_arm_is_surely_ahead_at_its_largest_size():
    draws = ensemble(0.9, 0.3, 0, spread=0.1)
    for target_size in (50, 200, 800, 1100, 1300, 2000, 4000):
        found = crossover(draws, np.full(200, 0.9 * target_size**-0.3), 50)
        if found.ahead >= 0.95:
            assert found.state in {"below", "within"}
            assert found.size is None or found.lower != found.upper
        elif found.ahead > 0.05:
            assert found.state == "undetermined"
        else:
            assert found.state in {"above", "never"}
