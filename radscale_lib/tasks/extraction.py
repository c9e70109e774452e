"""Computing the pooled features of a frozen encoder."""

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from radscale_lib.study.archive import Labels
from radscale_lib.study.heads.base import GRID_SIDE
from radscale_lib.study.model import Study
from radscale_lib.tasks.features import GRID, NAMES, index_of, save_features
from radscale_lib.tasks.frozen import FrozenEncoder
from radscale_lib.tasks.inputs import Inputs


def extract(study: Study, inputs: Inputs, label: str, labels: Labels) -> None:
    """Write the pooled features of all images outside the pool.

    Args:
        study: the study.
        inputs: the run's files; the features are written.
        label: name of the run in progress lines.
        labels: the labels in the catalog.

    Raises:
        NotFiniteError: naming level and image.
    """
    catalog = pl.read_parquet(inputs.catalog)
    index = index_of(catalog, labels)
    rows = index.select("image_id").join(
        catalog.select("image_id", "shard", "row"), on="image_id", maintain_order="left"
    )
    frozen = FrozenEncoder(inputs, rows, study.compute, study.evaluation.features.batch)
    names = (*NAMES, GRID) if study.evaluation.reads_grid else NAMES
    pooled: list[list[NDArray[np.float16]]] = [[] for _ in names]
    for _, features in frozen.batches(f"features {label}"):
        vectors = [*(level.mean((2, 3)) for level in features.levels), features.global_]
        if GRID in names:
            vectors.append(grid_means(features.levels[-1]))
        for part, values in zip(pooled, vectors, strict=True):
            part.append(values.to(torch.float16).cpu().numpy())
    save_features(inputs, index, dict(zip(names, map(np.concatenate, pooled), strict=True)))


def grid_means(level: Tensor) -> Tensor:
    """Means [B, C * cells] over the cells of a 4 x 4 grid on a map [B, C, H, W].

    If the map's cells cannot be divided evenly, those of the grid overlap; a side of fewer than
    four cells is kept.
    """
    rows, columns = (min(GRID_SIDE, side) for side in level.shape[2:])
    return F.adaptive_avg_pool2d(level, (rows, columns)).flatten(1)
