"""Stateless randomness: every draw is a function of (seed, purpose, position).

Neither the order of work nor the number of workers, devices or restarts therefore changes a run.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """Streams that must not share numbers."""

    ORDER = 1
    AUGMENT = 2
    TEXT = 3
    MASK = 4


def generator(seed: int, purpose: Purpose, *position: int) -> np.random.Generator:
    """A generator of a stream's draws, starting at a position of up to three coordinates."""
    return np.random.Generator(philox(seed, purpose, *position))


def philox(seed: int, purpose: Purpose, *position: int) -> np.random.Philox:
    """The counter-based generator (Philox, Salmon et al. 2011) on which `generator` is built."""
    counter = np.array([0, *position, *([0] * (3 - len(position)))], np.uint64)
    return np.random.Philox(key=[seed, purpose], counter=counter)
