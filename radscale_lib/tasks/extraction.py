"""Computing the pooled features of a frozen encoder."""

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from radscale_lib.study.archive import Labels
from radscale_lib.study.model import Study
from radscale_lib.tasks.features import LEVELS, index_of, save_features
from radscale_lib.tasks.frozen import FrozenEncoder
from radscale_lib.tasks.inputs import Inputs


def extract(study: Study, inputs: Inputs, label: str, labels: Labels) -> None:
    """Write the pooled features of all images outside the pool.

    Args:
        study: the study.
        inputs: the run's files; the features are written.
        label: the run, for progress lines.
        labels: those that the catalog has.

    Raises:
        NotFiniteError: naming level and image.
    """
    catalog = pl.read_parquet(inputs.catalog)
    index = index_of(catalog, labels)
    rows = index.select("image_id").join(
        catalog.select("image_id", "shard", "row"), on="image_id", maintain_order="left"
    )
    frozen = FrozenEncoder(inputs, rows, study.compute, study.evaluation.features.batch)
    pooled: list[list[NDArray[np.float16]]] = [[] for _ in (*LEVELS, "global")]
    for _, features in frozen.batches(f"features {label}"):
        vectors = [*(level.mean((2, 3)) for level in features.levels), features.global_]
        for part, values in zip(pooled, vectors, strict=True):
            part.append(values.to(torch.float16).cpu().numpy())
    *means, global_ = (np.concatenate(part) for part in pooled)
    save_features(inputs, index, means, global_)
