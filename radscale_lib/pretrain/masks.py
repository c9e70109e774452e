"""Block masks of patches (BEiT, arXiv 2106.08254; iBOT, arXiv 2111.07832)."""

import math

import numpy as np
from numpy.typing import NDArray

SMALLEST_BLOCK = 4
ASPECT = 0.3
TRIES = 10


def mask_counts(
    rng: np.random.Generator,
    crops: int,
    patches: int,
    probability: float,
    ratio: tuple[float, float],
) -> NDArray[np.int64]:
    """How many patches to mask in each crop of a batch: int64 [crops].

    A fixed share of the crops is masked, with ratios spread evenly over the range (one from each
    of equal intervals, as in DINOv2) and shuffled. At least one patch of the batch is masked.
    """
    masked = max(round(crops * probability), 1)
    edges = np.linspace(*ratio, masked + 1)
    counts = np.zeros(crops, np.int64)
    counts[:masked] = np.maximum(patches * rng.uniform(edges[:-1], edges[1:]), 1)
    return rng.permutation(counts)


def block_mask(rng: np.random.Generator, height: int, width: int, count: int) -> NDArray[np.bool_]:
    """A mask [height, width] of exactly `count` patches, in rectangular blocks.

    Blocks have at least four patches and an aspect ratio of 0.3 to 1 / 0.3, drawn log-uniformly,
    as far as the remaining count allows; single patches fill what no block can.
    """
    mask = np.zeros((height, width), bool)
    left = count
    for _ in range(TRIES * count):
        if left < SMALLEST_BLOCK:
            break
        area = rng.uniform(SMALLEST_BLOCK, left)
        aspect = math.exp(rng.uniform(math.log(ASPECT), -math.log(ASPECT)))
        rows = min(max(round(math.sqrt(area * aspect)), 1), height)
        columns = min(max(round(math.sqrt(area / aspect)), 1), width)
        top = rng.integers(height - rows + 1)
        start = rng.integers(width - columns + 1)
        block = mask[top : top + rows, start : start + columns]
        if 0 < block.size - block.sum() <= left:
            left -= block.size - int(block.sum())
            block[:] = True
    free = np.flatnonzero(~mask)
    mask.flat[rng.permutation(free)[:left]] = True
    return mask
