"""Small shards whose images tell where they lie."""

from pathlib import Path

import numpy as np

from radscale_lib.shards import png
from radscale_lib.shards.writer import open_shard
from radscale_lib.study.archive import Labels

LABELS = Labels(findings=("effusion",), tubes=("ett",))
ROWS = (150, 64, 1)
"""Rows of the shards: two full groups and a rest, one full group, one row."""
NAMES = tuple(f"part={shard}.parquet" for shard in range(len(ROWS)))


def image_of(shard: int, row: int) -> np.ndarray:
    """A recognisable image for each place."""
    size = (9 + row % 3, 7 + shard)
    return np.random.default_rng([shard, row]).integers(0, 256, size, dtype=np.uint8)


def row_of(shard: int, row: int) -> dict:
    image = image_of(shard, row)
    return {
        "image_id": f"{shard:016x}{row:016x}",
        "study_id": "5" * 32,
        "patient_id": "7" * 32,
        "image": png.encode(image),
        "height": image.shape[0],
        "width": image.shape[1],
        "view": "PA",
        "source_height": 90,
        "source_width": 70,
        "spacing_mm": None,
        "p1": 1.0,
        "p50": 2.0,
        "p99": 3.0,
        "findings": None if row % 2 else f"No effusion {row}.",
        "impression": None,
        "finding:effusion": [1, 0, -1, None][row % 4],
        "tube:ett": None,
        "labelled": True,
        "tubes": "[]",
    }


def write(path: Path, shard: int, rows: int) -> None:
    with open_shard(path, LABELS, "stage-id") as writer:
        for row in range(rows):
            assert writer.append(row_of(shard, row)) == row
