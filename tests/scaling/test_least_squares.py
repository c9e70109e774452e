import numpy as np
import pytest

from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.least_squares import FORMS, fit_law

SIZES = np.geomspace(1e3, 1e6, 10)
U = SIZES / SIZES[-1]


def sigmoid(n, alpha):
    """(y - 0.05) / (0.5 - y)^alpha = 0.1 u^-0.6, by bisection."""
    low, high = np.full(n.shape, 0.05), np.full(n.shape, 0.5)
    for _ in range(80):
        y = (low + high) / 2
        above = (y - 0.05) / (0.5 - y) ** alpha > 0.1 * (n / SIZES[-1]) ** -0.6
        low, high = np.where(above, low, y), np.where(above, y, high)
    return low


LAWS = {
    "power": lambda n: 0.1 * (n / SIZES[-1]) ** -0.3,
    "power_floor": lambda n: 0.1 * (n / SIZES[-1]) ** -0.4 + 0.05,
    "double_saturating": lambda n: 0.1 * (n / SIZES[-1] + 0.01) ** -0.4 + 0.05,
    "mmf4": lambda n: sigmoid(n, 1.0),
    "m4": lambda n: sigmoid(n, 0.5),
    "bnsl": lambda n: (
        0.02 + 0.1 * (n / SIZES[-1]) ** -0.1 * (1 + (n / SIZES[-1] / 0.1) ** 2) ** -0.15
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_law_of_the_form_is_found_again(form):
    law = LAWS[form]
    found = fit_law(form, SIZES, law(SIZES))
    assert found.determined
    assert np.sqrt(found.loss) < 2e-3
    np.testing.assert_allclose(found.errors(SIZES[3:]), law(SIZES[3:]), rtol=0.01)
    ahead = np.array([2e6, 4e6])
    np.testing.assert_allclose(found.errors(ahead), law(ahead), rtol=0.02)


def test_units_and_order_do_not_matter():
    errors = LAWS["power_floor"](SIZES)
    turned = fit_law("power_floor", SIZES[::-1] * 10, errors[::-1] * 3)
    reference = fit_law("power_floor", SIZES, errors)
    assert turned.errors([2e7])[0] == pytest.approx(3 * reference.errors([2e6])[0], rel=1e-4)


def test_recency_favours_the_largest_sizes():
    errors = LAWS["power"](SIZES) * np.where(SIZES < 1e4, 2.0, 1.0)
    even, recent = (fit_law("power", SIZES, errors, recency=r) for r in (0.0, 2.0))
    truth = LAWS["power"](np.array([2e6]))
    assert abs(np.log(recent.errors([2e6]) / truth)) < 0.1 * abs(np.log(even.errors([2e6]) / truth))


def test_more_parameters_than_sizes_are_said():
    assert not fit_law("bnsl", SIZES[:5], LAWS["power"](SIZES[:5])).determined


@pytest.mark.parametrize(
    ("form", "errors", "message"),
    [
        ("cubic", [0.3, 0.2, 0.1], "no form 'cubic': use one of power"),
        ("power", [0.3, np.nan, 0.1], "drop missing runs"),
        ("power", [0.3, 0.2], "2 of at least 3 sizes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(form, errors, message):
    with pytest.raises(ScalingError, match=message):
        fit_law(form, SIZES[: len(errors)], errors)
