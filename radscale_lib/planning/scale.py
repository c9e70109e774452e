"""How large a study is, before anything of it is there."""

import math

from radscale_lib.study.model import Study

BYTES_PER_PIXEL = 0.6
"""Assumed: lossless PNG of a radiograph, bytes per stored pixel."""


def images(study: Study) -> int:
    """About how many images the institution's archive holds (the pool is the largest size)."""
    return math.ceil(study.subsets.sizes[-1] / (1 - held_out(study)))


def held_out(study: Study) -> float:
    """Share of the images that no encoder is trained on."""
    return study.splits.train + study.splits.validation + study.splits.test


def shard_bytes(study: Study) -> float:
    """Bytes of the institution's shards."""
    side = study.institution.image.shorter_side
    return images(study) * side * side * 1.2 * BYTES_PER_PIXEL
