"""What a job of each stage asks a scheduler for, from the study's scale.

Bounds, not estimates: a job that exceeds them is killed. `plan` has the estimates.
"""

import math

from radscale_lib.planning.disk import encoder_bytes
from radscale_lib.planning.scale import archive_images, held_out, shard_bytes
from radscale_lib.study.archive import Archive
from radscale_lib.study.model import Study

MB_PER_MPIXEL = 60
"""Peak of decoding one image: stored values, float32 copies, and the resized image."""

ENCODED = {"cpu": 500 * 64**2, "cuda": 50.0}
"""At least so many a second: pixels through an encoder on a core, images on a GPU."""
READ = 50e6
"""At least so many bytes a second from the file system of the results."""


def _largest_archive(study: Study) -> Archive:
    return max(study.archives.values(), key=lambda archive: archive.image.shorter_side)


def _largest_encoder(study: Study) -> float:
    """Bytes of the largest encoder file of an arm."""
    return max(encoder_bytes(study, arm) for arm in study.arms)


def megabytes(study: Study, stage: str) -> int:
    """Memory of a job, MB, before the factor for retries; of a training, for each process."""
    rows = archive_images(study) / 1e6
    side = max(_largest_archive(study).image.shorter_side, 64)
    needs = {
        "ingest": 1500 + MB_PER_MPIXEL * 20,
        "tables": 1500 + 500 * rows,
        "catalog": 1500 + 500 * rows,
        "subset": 600 + 400 * rows,
        "subset_card": 1000 + 3000 * rows,
        # Of each process: torch, and loaders that hold decoded images of several steps.
        "pretrain": 12_000 if study.compute.device == "cuda" else 3000 + 40 * (side / 64) ** 2,
        # Two encoders, the mean, and its file before it is written.
        "interpolate": 1500 + 5 * _largest_encoder(study) / 1e6,
        "features": 2500 + 4000 * rows + 20 * (side / 64) ** 2,
        "evaluate": 3500 + 8000 * rows + 100 * (side / 64) ** 2,
        "similarity": 2000 + 20 * (side / 64) ** 2,
        "fit": 2000,
    }
    return math.ceil(needs.get(stage, 1500))


def minutes(study: Study, stage: str) -> int:
    """Run time of a job, minutes, before the factor for retries."""
    total = archive_images(study)
    per_partition = total / study.institution.partitions
    side = _largest_archive(study).image.shorter_side
    tested = total * held_out(study)
    encoded = ENCODED["cuda"] if study.compute.device == "cuda" else ENCODED["cpu"] / side**2
    needs = {
        "phantom": 20.0,
        "scan": 10 + total / 1e5,
        "ingest": 10 + per_partition / 60 / 2,
        "tables": 10 + total / 5e4,
        "catalog": 10 + total / 1e5,
        "ranges": 10 + shard_bytes(study) / READ / 60,
        "subset": 10 + total / 5e5,
        "subset_card": 10 + total / 5e5,
        "pretrain": 60.0 if study.compute.device == "cpu" else 24 * 60,
        "interpolate": 10 + 3 * _largest_encoder(study) / READ / 60,
        "features": 10 + tested / encoded / 60,
        "evaluate": 15 + min(tested, 2e5) / encoded / 60,
    }
    return math.ceil(needs.get(stage, 15.0))
