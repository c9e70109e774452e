"""Balance of strata: which unit comes next, so that their shares stay those of the whole.

Integers throughout: the result is the same on every machine.
"""

import numpy as np
from numpy.typing import NDArray

UNITS = 2**15
"""Units from the beginning of an order that are balanced; later ones weigh little."""
WINDOW = 64
"""Units of a size among which the next one is chosen."""
PATIENCE = 2 * WINDOW
"""Units of its size by which a unit is overtaken at most."""
STRATA = 255
"""The most frequent strata are balanced one by one, rarer ones together."""
_SHARE_BITS = 32
_COUNT_BITS = 4


def balanced(counts: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order of units near the given one, in which every stratum keeps its share.

    Units of a size (number of images) change places with each other. Where the given order has a
    unit of a size comes, of the next `WINDOW` ones of that size, the one after which the shares of
    the strata are nearest to those of the whole (sum of squares of their relative differences);
    the earliest of several.

    Args:
        counts: images of each unit by stratum, [units, strata].
        whole: images of the whole by stratum, [strata], none 0.

    Returns:
        Numbers of the units, [units].
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
    """Units of a size that are still to come, in order; the next ones in the slots of a window."""

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
        """The unit that comes next, where counts are `off` without it."""
        slot = int(self._places.argmin())
        if self._taken - self._places[slot] < PATIENCE:
            # Of (row + off)^2, off^2 is the same for all.
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
