"""The scale of a study, before any results exist."""

import math

from radscale_lib.study.heads.base import GRID_SIDE, Encoding
from radscale_lib.study.model import Study

BYTES_PER_PIXEL = {8: 0.6, 16: 1.8}
"""Assumed size of a lossless radiograph, bytes per stored pixel of 8 and 16 bits."""


def archive_images(study: Study) -> int:
    """Approximate number of images in the institution's archive, with the largest size as pool."""
    return math.ceil(study.subsets.sizes[-1] / (1 - held_out(study)))


def held_out(study: Study) -> float:
    """Share of the images on which no encoder is trained."""
    return study.splits.train + study.splits.validation + study.splits.test


def encoding(study: Study, task: str) -> Encoding:
    """Number of images that each encoder encodes for a task."""
    images, splits = archive_images(study), study.splits
    parts = (splits.train, splits.validation, splits.test)
    return study.evaluation.tasks[task].encoding(*(images * share for share in parts))


def grid_bytes(study: Study, arm: str) -> float:
    """Bytes of the temporary file with the feature maps from which an evaluation learns.

    One byte per number (`radscale_lib.tasks.grids`); the largest file at any time.
    """
    kept = max(encoding(study, task).kept for task in study.evaluation.tasks)
    return kept * study.section_of(arm).feature_numbers()


def grid_numbers(study: Study, arm: str) -> float:
    """Numbers per image of the features over a grid; 0 if no head reads them."""
    return GRID_SIDE**2 * study.section_of(arm).channels() * study.evaluation.reads_grid


def shard_bytes(study: Study) -> float:
    """Bytes of the institution's shards."""
    image = study.institution.image
    pixels = image.shorter_side**2 * 1.2
    return archive_images(study) * pixels * BYTES_PER_PIXEL[image.bits]
