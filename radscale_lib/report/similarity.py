"""Patch similarity: similarity of all patches of an image to the patch at a tube's tip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from radscale_lib.encoders.prepare import map_points, prepare_one
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.report.schema import SIMILARITY_SCHEMA
from radscale_lib.report.tips import Tip, tips_of, towers
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import Study

PREFERRED = "chest_tube"


def choose_tip(study: Study, catalog: pl.DataFrame) -> Tip | None:
    """The tube tip to show, in the first test image by keyed hash.

    A chest tube if there is one, else any tube.
    """
    candidates = [
        (tip.label != PREFERRED, unit_interval(tip.image, "similarity"), tip)
        for tip in tips_of(study, catalog, "test")
    ]
    return min(candidates)[2] if candidates else None


def similarity_maps(
    study: Study,
    catalog: pl.DataFrame,
    reader: ShardReader,
    arm: str,
    sizes: Sequence[int],
    encoders: Sequence[Path],
) -> pl.DataFrame:
    """Cosine similarity between the patch at a tube's tip and all others, at four levels.

    Args:
        study: names the encoder of `arm`.
        catalog: the catalog of the shards.
        reader: reads the shards.
        arm: the arm of the encoders.
        sizes: number of images of each encoder.
        encoders: encoder files; those of failed runs are left out.

    Returns:
        Rows of SIMILARITY_SCHEMA: the image, then a map for each size and level. No rows if the
        test split has no tube tip, or all runs failed.
    """
    tip = choose_tip(study, catalog)
    if tip is None:
        return pl.DataFrame(schema=SIMILARITY_SCHEMA)
    stored = reader.images([tip.shard], [tip.row])
    rows: list[dict[str, Any]] = []
    for size, tower in towers(sizes, encoders):
        x, y = map_points([(tip.x, tip.y)], tip.height, tip.width, tower.encoder)[0]
        shared = {"arm": arm, "label": tip.label, "tip_x": x, "tip_y": y}
        if not rows:
            square = prepare_one(stored[0], tower.encoder)
            image = {"image": square.ravel().tolist()}
            rows = [shared | {"height": square.shape[0], "width": square.shape[1]} | image]
        with torch.inference_mode():
            levels = tower.levels(tower.prepare(stored)).levels
        for level, features in enumerate(levels, start=1):
            values = cosine_map(features[0], float(x), float(y))
            rows.append(
                shared
                | {
                    "size": size,
                    "level": level,
                    "height": values.shape[0],
                    "width": values.shape[1],
                    "similarity": values.flatten().tolist(),
                }
            )
    return pl.DataFrame(rows, schema=SIMILARITY_SCHEMA)


def cosine_map(features: Tensor, x: float, y: float) -> Tensor:
    """Cosine similarity of every cell's vector with that of the cell at (x, y).

    Args:
        features: [C, H, W].
        x: horizontal position, as a share of the width.
        y: vertical position, as a share of the height.

    Returns:
        [H, W], 1 at the cell itself.
    """
    _, height, width = features.shape
    unit = torch.nn.functional.normalize(features.float(), dim=0)
    row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
    return torch.einsum("c,chw->hw", unit[:, row, column], unit).clamp(-1, 1)
