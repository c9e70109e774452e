"""Disk space of a study's results: computed for the whole, measured for existing ones."""

import tempfile
from pathlib import Path

from radscale_lib.planning.scale import (
    archive_images,
    grid_bytes,
    grid_numbers,
    held_out,
    shard_bytes,
)
from radscale_lib.study.model import Study

STATES = 4
"""Approximate size of a checkpoint in encoder files: weights, teacher or average, two moments."""
FEATURE_BYTES = 12_000
"""Assumed size of one image's features, without those over a grid."""


PLACES = {
    "shards": "data/*/shards/*",
    "encoders": "encoders/**/*.safetensors",
    "features": "features/**/*.safetensors",
    "training states": "work/**/*",
}
"""Files of each kind of result, below the study's folder."""


def disk(study: Study) -> dict[str, tuple[float, float]]:
    """Bytes of each kind of result: computed for the whole study, measured for existing ones."""
    whole = whole_bytes(study)
    return {kind: (whole[kind], _measured(study.folder, place)) for kind, place in PLACES.items()}


def whole_bytes(study: Study) -> dict[str, float]:
    """Bytes of each kind of result of the whole study, computed."""
    encoders = sum(encoder_bytes(study, run.arm) for run in study.runs)
    of_image = sum(FEATURE_BYTES + 2 * grid_numbers(study, run.arm) for run in study.runs)
    features = archive_images(study) * held_out(study) * of_image
    return {
        "shards": shard_bytes(study),
        "encoders": encoders,
        "features": features,
        "training states": encoders,
    }


def peak_bytes(study: Study, at_once: int = 1) -> float:
    """Peak disk use of a study: all results, and the temporary files of running jobs.

    A training holds two checkpoints (while one is written, the previous one still exists); an
    evaluation holds its feature maps, even if they are elsewhere (TMPDIR).
    """
    held = [2 * STATES * encoder_bytes(study, run.arm) for run in study.pretraining_runs]
    held += [grid_bytes(study, run.arm) for run in study.runs]
    return sum(whole_bytes(study).values()) + sum(sorted(held)[-at_once:])


def encoder_bytes(study: Study, arm: str) -> float:
    """Bytes of an arm's encoder file, in float32."""
    return 4 * study.section_of(arm).parameters()


def size_text(size: float) -> str:
    """Bytes in a human-readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _measured(folder: Path, pattern: str) -> float:
    total = 0
    for path in folder.glob(pattern):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # a job may delete or rename files meanwhile
            continue
    return float(total)


def write_problem(folder: Path) -> str:
    """Why nothing can be written to a folder, such as a full disk; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
            file.flush()
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return ""
