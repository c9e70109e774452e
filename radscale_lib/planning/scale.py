"""How large a study is, before anything of it is there."""

import math

from radscale_lib.study.model import Study

BYTES_PER_PIXEL = {8: 0.6, 16: 1.8}
"""Assumed: a radiograph without loss, bytes per stored pixel of 8 and 16 bits."""


def archive_images(study: Study) -> int:
    """About how many images the institution's archive holds (the pool is the largest size)."""
    return math.ceil(study.subsets.sizes[-1] / (1 - held_out(study)))


def held_out(study: Study) -> float:
    """Share of the images that no encoder is trained on."""
    return study.splits.train + study.splits.validation + study.splits.test


def shard_bytes(study: Study) -> float:
    """Bytes of the institution's shards."""
    image = study.institution.image
    pixels = image.shorter_side**2 * 1.2
    return archive_images(study) * pixels * BYTES_PER_PIXEL[image.bits]
