"""Which image is seen when: a stateless order without replacement."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radscale_lib.pretrain.randomness import Purpose, generator


class Sample(NamedTuple):
    """One sample of the run: which image, and in which pass over the images."""

    epoch: int
    image: int


def samples(seed: int, images: int, start: int, stop: int) -> list[Sample]:
    """Samples `start` to `stop - 1` of a run over `images` images.

    Sample i is image permutation_e(i mod images) in epoch e = i // images. It depends on nothing
    but (seed, images, i): not on batch size, devices, workers or interruptions.
    """
    return [
        Sample(epoch, int(permutation(seed, epoch, images)[offset]))
        for epoch, offset in (divmod(position, images) for position in range(start, stop))
    ]


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    """The order of the images in an epoch: int64 [images]."""
    return generator(seed, Purpose.ORDER, epoch).permutation(images)
