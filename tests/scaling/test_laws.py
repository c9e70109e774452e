import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.scaling.laws import FORMS, PRIOR, join, log_relative, shapes

ALL = ("power", "power_floor", "double_saturating")


@pytest.mark.parametrize("forms", [(), ("power",), ("power_floor",), ("double_saturating",), ALL])
def test_prior_is_shared_among_the_forms_in_use(forms):
    grid = shapes(forms)
    assert grid.prior.sum() == pytest.approx(1)
    used = {"constant", *forms}
    total = sum(PRIOR[form] for form in used)
    for i, form in enumerate(FORMS):
        share = grid.prior[grid.form == i].sum()
        assert share == pytest.approx(PRIOR[form] / total if form in used else 0)


def test_unknown_form_is_named():
    with pytest.raises(ValueError, match="cubic"):
        shapes(("cubic",))


@given(st.floats(0.01, 3), st.floats(0, 0.99), st.floats(0, 1), st.floats(-8, 2))
def test_log_relative_is_the_law(b, e, d, log_u):
    direct = np.log(e + (1 - e) * ((np.exp(log_u) + d) / (1 + d)) ** -b)
    assert log_relative(np.array(b), np.array(e), np.array(d), np.array(log_u)) == pytest.approx(
        direct, abs=1e-9
    )


def test_every_law_is_one_at_the_largest_size():
    np.testing.assert_allclose(shapes(ALL).log_relative(np.zeros(1)), 0, atol=1e-12)


def test_split_keeps_probability_and_tiles_each_cell():
    grid = shapes(ALL)
    power = grid.take(grid.form == 1)
    floor = grid.take(grid.form == 2)
    for cells, parts in ((power, 3), (floor, 9)):
        children = cells.split()
        assert len(children) == len(cells) * parts
        assert children.prior.sum() == pytest.approx(cells.prior.sum())
        # The children of the first cell cover its exponents without gap or overlap.
        first = children.take(np.arange(parts))
        low = first.exponent * np.exp(-first.exponent_step / 2)
        high = first.exponent * np.exp(first.exponent_step / 2)
        half = cells.exponent_step[0] / 2
        assert low.min() == pytest.approx(cells.exponent[0] * np.exp(-half))
        assert high.max() == pytest.approx(cells.exponent[0] * np.exp(half))
        edges = np.unique(np.round(np.concatenate([low, high]), 12))
        assert edges.size == 4
        if parts == 9:
            reach = first.share_step[0] / 2
            assert (first.share - reach).min() == pytest.approx(
                cells.share[0] - cells.share_step[0] / 2
            )
            assert (first.share + reach).max() == pytest.approx(
                cells.share[0] + cells.share_step[0] / 2
            )


def test_join_keeps_order():
    grid = shapes(ALL)
    both = join([grid.take(np.arange(3)), grid.take(np.arange(3, len(grid)))])
    np.testing.assert_array_equal(both.exponent, grid.exponent)
