"""Balance: every unit once, near its place, and strata nearer to their shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.subsets import balance
from radscale_lib.subsets.balance import balanced


def units_of(seed: int, units: int, strata: int) -> np.ndarray:
    """Counts of units of 1 to 12 images: [units, strata]."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.geometric(0.3, units), 12)
    shares = np.arange(1, strata + 1) / np.arange(1, strata + 1).sum()
    return np.array([rng.multinomial(size, shares) for size in sizes], np.int64).reshape(-1, strata)


def worst(counts: np.ndarray, order: np.ndarray, images: int) -> float:
    """Largest relative departure of a stratum in the first units with that many images."""
    sums = counts[order].cumsum(axis=0)
    drawn = sums[np.searchsorted(sums.sum(axis=1), images)]
    return float(np.abs(drawn / drawn.sum() / (sums[-1] / sums[-1].sum()) - 1).max())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), units=st.integers(0, 500), strata=st.integers(1, 6))
def test_units_change_places_with_others_of_their_size(seed, units, strata):
    counts = units_of(seed, units, strata)
    whole = counts.sum(axis=0) + 1
    order = balanced(counts, whole)
    assert sorted(order.tolist()) == list(range(units))
    sizes = counts.sum(axis=1)
    np.testing.assert_array_equal(sizes[order], sizes)
    for size in set(sizes.tolist()):
        of_size = order[sizes[order] == size].tolist()
        for place, unit in enumerate(of_size):
            overtaken_by = sum(other > unit for other in of_size[:place])
            assert overtaken_by <= balance.PATIENCE


@pytest.mark.parametrize("seed", range(3))
def test_strata_are_nearer_to_their_shares(seed):
    counts = units_of(seed, 4000, 8)
    order = balanced(counts, counts.sum(axis=0))
    for images in (500, 2000, 8000):
        before, after = worst(counts, np.arange(4000), images), worst(counts, order, images)
        assert after < max(before / 3, 1.5 / (images / 36))  # 36: of the rarest stratum


def test_equal_units_keep_their_order():
    counts = np.tile(np.eye(3, dtype=np.int64), (50, 1))
    order = balanced(counts, counts.sum(axis=0))
    for stratum in range(3):
        assert (np.diff(order[order % 3 == stratum]) > 0).all()


def test_the_order_is_what_it_was():
    number = np.arange(150)
    counts = np.stack([(number * 7 + 3 * j) % (3 + j) + (j == 0) for j in range(4)], axis=1)
    order = balanced(counts.astype(np.int64), counts.sum(axis=0).astype(np.int64))
    assert order[:12].tolist() == [5, 1, 54, 57, 50, 34, 65, 30, 14, 40, 10, 6]
