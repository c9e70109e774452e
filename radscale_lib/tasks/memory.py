"""Features of a small archive's images in memory: the encoder runs once for all tasks."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.study.evaluation import KEPT_BYTES
from radscale_lib.tasks.features import SPLITS

Half = NDArray[np.float16]


class Memory:
    """An encoder's features of the images outside the pool, computed once for all tasks.

    Images are encoded in batches in the catalog's order, whichever are requested, so their features
    depend neither on the tasks nor on what an earlier job kept.
    """

    def __init__(self, catalog: Path, batch: int) -> None:
        """Start empty; `batch` is the number of images per forward pass."""
        self._catalog, self._batch = catalog, batch
        self._parts: list[NDArray[Any]] = []
        self._encoded: set[int] = set()

    @cached_property
    def _rows(self) -> pl.DataFrame:
        rows = pl.read_parquet(self._catalog, columns=["split", "shard", "row"])
        return rows.filter(pl.col("split").is_in(SPLITS))

    @cached_property
    def _position(self) -> dict[tuple[str, int], int]:
        return {place: at for at, place in enumerate(_places(self._rows))}

    def fits(self, numbers: float) -> bool:
        """Whether there is room for all images, with this many numbers each."""
        return 2 * numbers * len(self._rows) <= KEPT_BYTES

    def __call__(
        self, rows: pl.DataFrame, encode: Callable[[pl.DataFrame], Sequence[Half]]
    ) -> list[Half]:
        """Features of the given images, as `encode` returns them.

        Args:
            rows: catalog rows of B images outside the pool.
            encode: returns parts [B, ...] of the features of catalog rows.
        """
        chosen = np.array([self._position[place] for place in _places(rows)])
        for number in sorted({*(chosen // self._batch).tolist()} - self._encoded):
            start = number * self._batch
            parts = encode(self._rows[start : start + self._batch])
            if not self._parts:
                count = len(self._rows)
                self._parts = [np.empty((count, *part.shape[1:]), np.float16) for part in parts]
            for kept, part in zip(self._parts, parts, strict=True):
                kept[start : start + self._batch] = part
            self._encoded.add(number)
        return [part[chosen] for part in self._parts]


def _places(rows: pl.DataFrame) -> list[tuple[str, int]]:
    return rows.select("shard", "row").rows()
