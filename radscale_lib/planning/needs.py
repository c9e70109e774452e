"""What a job of each stage asks a scheduler for, from the study's scale.

Bounds, not estimates: a job that exceeds them is killed. `plan` has the estimates.
"""

import math

from radscale_lib.study.archive import Archive
from radscale_lib.study.model import Study

MB_PER_MPIXEL = 60
"""Peak of decoding one image: stored values, float32 copies, and the resized image."""


def _largest_archive(study: Study) -> Archive:
    return max(study.archives.values(), key=lambda archive: archive.image.shorter_side)


def images(study: Study) -> int:
    """About how many images the institution's archive holds (the pool is the largest size)."""
    pool = 1 - study.splits.train - study.splits.validation - study.splits.test
    return math.ceil(study.subsets.sizes[-1] / pool)


def megabytes(study: Study, stage: str) -> int:
    """Memory of a job, MB, before the factor for retries."""
    rows = images(study) / 1e6
    side = max(_largest_archive(study).image.shorter_side, 64)
    needs = {
        "ingest": 1500 + MB_PER_MPIXEL * 20,
        "catalog": 1500 + 500 * rows,
        "subset": 800 + 1000 * rows,
        "subset_card": 1000 + 3000 * rows,
        "pretrain": 3000 + 40 * (side / 64) ** 2 * (256 if study.compute.device == "cuda" else 1),
        "features": 2500 + 4000 * rows + 20 * (side / 64) ** 2,
        "evaluate": 3500 + 8000 * rows + 100 * (side / 64) ** 2,
        "similarity": 2000 + 20 * (side / 64) ** 2,
        "fit": 2000,
    }
    return math.ceil(needs.get(stage, 1500))


def minutes(study: Study, stage: str) -> int:
    """Run time of a job, minutes, before the factor for retries."""
    per_partition = images(study) / study.institution.partitions
    slow = (_largest_archive(study).image.shorter_side / 64) ** 2
    needs = {
        "phantom": 20.0,
        "scan": 10 + images(study) / 1e5,
        "ingest": 10 + per_partition / 60 / 2,
        "catalog": 10 + images(study) / 1e5,
        "ranges": 10 + images(study) * slow / 60 / 500,
        "subset": 10 + images(study) / 5e5,
        "subset_card": 10 + images(study) / 5e5,
        "pretrain": 60.0 if study.compute.device == "cpu" else 24 * 60,
        "features": 10 + images(study) * slow / 60 / 500,
        "evaluate": 15 + min(images(study), 2e5) * slow / 60 / 500,
    }
    return math.ceil(needs.get(stage, 15.0))
