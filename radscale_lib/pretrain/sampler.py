"""The order in which images are seen: stateless, without replacement."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radscale_lib.pretrain.randomness import Purpose, philox


class Sample(NamedTuple):
    """One sample of the run: which image, and in which pass over the images."""

    epoch: int
    table_row: int


def samples(seed: int, images: int, start: int, stop: int) -> list[Sample]:
    """Samples `start` to `stop - 1` of a run over `images` images.

    Sample i is image permutation_e(i mod images) in epoch e = i // images. It depends only on
    (seed, images, i), not on batch size, devices, workers or interruptions.
    """
    return [
        Sample(epoch, int(permutation(seed, epoch, images)[offset]))
        for epoch, offset in (divmod(position, images) for position in range(start, stop))
    ]


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, images: int) -> NDArray[np.int32]:
    """The order of the images in an epoch: int32 [images].

    Image i has the i-th 64-bit number of Philox-4x64-10 (Salmon et al. 2011) with the key (seed, 1)
    and the counter (0, epoch, 0, 0); images come in ascending order of their numbers. Unlike
    numpy's own permutations, this order is fixed by definition in every library version.
    """
    numbers = philox(seed, Purpose.ORDER, epoch).random_raw(images)
    return np.argsort(numbers, kind="stable").astype(np.int32)
