"""How large a study is, before anything of it is there."""

import math

from radscale_lib.study.heads.base import GRID_SIDE, Encoding
from radscale_lib.study.model import Study

BYTES_PER_PIXEL = {8: 0.6, 16: 1.8}
"""Assumed: a radiograph without loss, bytes per stored pixel of 8 and 16 bits."""


def archive_images(study: Study) -> int:
    """About how many images the institution's archive holds (the pool is the largest size)."""
    return math.ceil(study.subsets.sizes[-1] / (1 - held_out(study)))


def held_out(study: Study) -> float:
    """Share of the images that no encoder is trained on."""
    return study.splits.train + study.splits.validation + study.splits.test


def encoding(study: Study, task: str) -> Encoding:
    """What a task asks of each encoder, in images."""
    images, splits = archive_images(study), study.splits
    parts = (splits.train, splits.validation, splits.test)
    return study.evaluation.tasks[task].encoding(*(images * share for share in parts))


def grid_bytes(study: Study, arm: str) -> float:
    """Bytes of the temporary file that holds the feature maps that an evaluation learns from.

    A byte a number (`radscale_lib.tasks.grids`), at most at a time.
    """
    kept = max(encoding(study, task).kept for task in study.evaluation.tasks)
    return kept * study.section_of(arm).feature_numbers()


def grid_numbers(study: Study, arm: str) -> float:
    """Numbers of the features over a grid of an image; 0 if no head reads them."""
    return GRID_SIDE**2 * study.section_of(arm).channels() * study.evaluation.reads_grid


def shard_bytes(study: Study) -> float:
    """Bytes of the institution's shards."""
    image = study.institution.image
    pixels = image.shorter_side**2 * 1.2
    return archive_images(study) * pixels * BYTES_PER_PIXEL[image.bits]
