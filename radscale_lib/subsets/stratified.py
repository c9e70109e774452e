"""Orders in which every prefix contains each stratum in proportion."""

import numpy as np
from numpy.typing import NDArray

from radscale_lib.subsets.balance import STRATA, UNITS, balanced


def stratified(
    unit: NDArray[np.uint32],
    stratum: NDArray[np.uint32],
    key: NDArray[np.uint64],
    by_key: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Order units so that every prefix contains each stratum in proportion.

    First, every unit gets a position by its most frequent stratum; then the first units are
    balanced by the strata of all their images.

    Args:
        unit: of each image, from 0, each at least once, [images].
        stratum: of each image, from 0, frequent ones first, [images].
        key: of each unit, [units].
        by_key: the units, sorted by key.

    Returns:
        The units in order, [units].
    """
    strata = int(stratum.max(initial=0)) + 1
    # One number per pair, since a table of groups takes several times the memory.
    pairs = unit.astype(np.uint64)
    pairs *= strata
    pairs += stratum
    pairs, count = np.unique(pairs, return_counts=True)
    owner, of = (pairs // strata).astype(np.uint32), (pairs % strata).astype(np.int64)
    del pairs
    # The stratum of most images (the smallest wins ties), as one number.
    number = count * strata + (strata - 1 - of)
    first_pairs = np.flatnonzero(np.diff(owner.astype(np.int64), prepend=-1))
    common = strata - 1 - np.maximum.reduceat(number, first_pairs) % strata
    images = np.bincount(unit)
    places = _spread(common, images, key, by_key)
    ordered = by_key[np.argsort(places[by_key], kind="stable")]
    first = ordered[:UNITS]
    rows = np.full(len(images), -1, np.int64)
    rows[first] = np.arange(len(first))
    row = rows[owner]
    # The rarest strata count as one.
    of = np.minimum(of, STRATA)
    counts = np.zeros((len(first), of.max(initial=0) + 1), np.int64)
    np.add.at(counts, (row[row >= 0], of[row >= 0]), count[row >= 0])
    whole = np.bincount(np.minimum(stratum, STRATA))
    return np.concatenate([first[balanced(counts, whole)], ordered[len(first) :]])


def _spread(
    group: NDArray[np.int64],
    images: NDArray[np.int64],
    key: NDArray[np.uint64],
    by_key: NDArray[np.uint32],
) -> NDArray[np.float64]:
    """Positions of units from 0 to 1, spreading each group's images evenly.

    The units of a group, in order of keys, divide the line in proportion to their images. Each unit
    gets a random point of its stretch, drawn by its key, so that a unit alone in its group may come
    anywhere.
    """
    within = (key % 2**32).astype(np.float64) / 2**32
    total = np.bincount(group, weights=images)
    grouped = by_key[np.argsort(group[by_key], kind="stable")]
    seen = np.empty(len(images))
    seen[grouped] = images[grouped].cumsum()
    seen -= (total.cumsum() - total)[group]
    seen -= images * (1 - within)
    return seen / total[group]
