"""Balance strata: choose the next unit so that their shares stay close to the whole pool's.

Integers throughout: the result is the same on every machine.
"""

import numpy as np
from numpy.typing import NDArray

UNITS = 2**15
"""Number of units balanced at the beginning of an order; later ones have little weight."""
WINDOW = 64
"""Number of units of the same size among which the next one is chosen."""
PATIENCE = 2 * WINDOW
"""Maximum number of units of the same size that may overtake a unit."""
STRATA = 255
"""Number of most frequent strata that are balanced individually; rarer ones count together."""
_SHARE_BITS = 32
_COUNT_BITS = 4


def balanced(counts: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reorder units so that every stratum keeps its share, staying close to the given order.

    Only units of the same size (number of images) trade places. Whenever the given order calls for
    a unit of some size, the next `WINDOW` units of that size are compared, and the one is taken
    that brings the strata's shares closest to those of the whole (sum of squared relative
    differences); the earliest wins ties.

    Args:
        counts: number of images of each unit by stratum, [units, strata].
        whole: number of images in the whole by stratum, [strata], all positive.

    Returns:
        Indices of the units in their new order, [units].
    """
    share = (whole << _SHARE_BITS) // whole.sum()
    weight = np.minimum((whole.sum() // whole) ** 2, 10**9)
    sizes = counts.sum(axis=1)
    queues = {
        size: _Queue(counts, np.flatnonzero(sizes == size), weight) for size in set(sizes.tolist())
    }
    have, total = np.zeros_like(whole), 0
    taken = np.empty(len(counts), np.int64)
    for place, size in enumerate(sizes.tolist()):
        total += size
        off = have - ((share * total) >> (_SHARE_BITS - _COUNT_BITS))
        unit = queues[size].take(off)
        have += counts[unit] << _COUNT_BITS
        taken[place] = unit
    return taken


class _Queue:
    """The remaining units of one size, in order; the next ones are in the slots of a window."""

    def __init__(
        self, counts: NDArray[np.int64], units: NDArray[np.int64], weight: NDArray[np.int64]
    ) -> None:
        self._units = units.tolist()
        self._counts = counts[units] << _COUNT_BITS
        self._weight = weight
        self._places = np.arange(min(WINDOW, len(units)))
        self._rows = self._counts[: len(self._places)].copy()
        self._squares = (self._rows * self._rows) @ weight
        self._taken = 0

    def take(self, off: NDArray[np.int64]) -> int:
        """Take the next unit, given the counts' deviation `off` without it."""
        slot = int(self._places.argmin())
        if self._taken - self._places[slot] < PATIENCE:
            # In (row + off)^2, off^2 is the same for all.
            score = self._squares + self._rows @ (2 * self._weight * off)
            best = np.flatnonzero(score == score.min())
            slot = int(best[self._places[best].argmin()])
        place = int(self._places[slot])
        following = self._taken + len(self._places)
        self._taken += 1
        if following < len(self._units):
            self._places[slot] = following
            row = self._rows[slot] = self._counts[following]
            self._squares[slot] = (row * row) @ self._weight
        else:
            self._places = np.delete(self._places, slot)
            self._rows = np.delete(self._rows, slot, axis=0)
            self._squares = np.delete(self._squares, slot)
        return int(self._units[place])
