"""Reading images from shards, in any order."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from radscale_lib.shards import png


class ShardError(RuntimeError):
    """A shard that is missing, damaged or shorter than the catalog says."""


class ShardReader:
    """Images of a folder of shards, addressed by the catalog's columns `shard` and `row`.

    Only the row groups that hold the asked images are read, their page checksums are verified,
    and the most recently used ones are kept, up to `cache_bytes`. A reader can be pickled or
    forked into data-loader workers: each process opens its own files.

    Example:
        reader = ShardReader(study.folder / "data" / "institution" / "shards")
        images = reader.images(catalog["shard"], catalog["row"])  # list of uint8 [H, W]
    """

    def __init__(self, folder: Path, cache_bytes: int = 256 * 2**20) -> None:
        """Read from `folder`; keep up to `cache_bytes` of encoded images in memory."""
        self.folder = folder
        self.cache_bytes = cache_bytes
        self._files: dict[str, tuple[pq.ParquetFile, NDArray[np.int64]]] = {}
        self._groups: OrderedDict[tuple[str, int], pa.ChunkedArray] = OrderedDict()
        self.held_bytes = 0
        """Encoded images in memory at the moment, bytes."""

    def encoded(self, shards: Sequence[str], rows: Sequence[int]) -> list[bytes]:
        """PNG bytes of the images at (shard, row), in the asked order.

        Raises:
            ShardError: naming the shard and row that is missing or damaged.
        """
        places = [
            (shard, *self._place(shard, int(row))) for shard, row in zip(shards, rows, strict=True)
        ]
        found: dict[int, bytes] = {}
        # One visit to each row group, however the asked images are mixed.
        for position in sorted(range(len(places)), key=lambda i: places[i][:2]):
            shard, group, offset = places[position]
            found[position] = self._group(shard, group)[offset].as_py()
        return [found[position] for position in range(len(places))]

    def images(self, shards: Sequence[str], rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Decoded images at (shard, row), uint8 [H, W] each, in the asked order.

        Raises:
            ShardError: naming the shard and row that is missing or damaged.
        """
        images = []
        for shard, row, data in zip(shards, rows, self.encoded(shards, rows), strict=True):
            try:
                images.append(png.decode(data))
            except ValueError:
                raise ShardError(
                    f"{self.folder / shard}: row {row} holds no decodable image: "
                    "delete the shard and ingest its partition again"
                ) from None
        return images

    def __getstate__(self) -> dict[str, Any]:
        """Open files and cached groups stay in this process."""
        return {"folder": self.folder, "cache_bytes": self.cache_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start afresh with the same folder."""
        self.__init__(**state)  # type: ignore[misc]

    def _open(self, shard: str) -> tuple[pq.ParquetFile, NDArray[np.int64]]:
        if shard not in self._files:
            path = self.folder / shard
            try:
                file = pq.ParquetFile(path, page_checksum_verification=True)
            except (OSError, pa.ArrowException):
                state = "is no readable shard" if path.exists() else "is missing"
                raise ShardError(f"{path} {state}: ingest its partition again") from None
            counts = [
                file.metadata.row_group(group).num_rows
                for group in range(file.metadata.num_row_groups)
            ]
            self._files[shard] = file, np.cumsum([0, *counts])
        return self._files[shard]

    def _place(self, shard: str, row: int) -> tuple[int, int]:
        """The row group of a row, and its offset in it."""
        _, starts = self._open(shard)
        if not 0 <= row < starts[-1]:
            raise ShardError(
                f"{self.folder / shard}: no row {row} among {starts[-1]}: the catalog is older or "
                "newer than the shard: run catalog again"
            )
        group = int(np.searchsorted(starts, row, side="right")) - 1
        return group, row - int(starts[group])

    def _group(self, shard: str, group: int) -> pa.ChunkedArray:
        key = shard, group
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        file, starts = self._open(shard)
        try:
            column = file.read_row_group(group, columns=["image"])["image"]
        except (OSError, pa.ArrowException):
            raise ShardError(
                f"{self.folder / shard}: rows {starts[group]} to {starts[group + 1] - 1} are "
                "damaged (checksum): delete the shard and ingest its partition again"
            ) from None
        self._groups[key] = column
        self.held_bytes += column.nbytes
        while self.held_bytes > self.cache_bytes:
            _, dropped = self._groups.popitem(last=False)
            self.held_bytes -= dropped.nbytes
        return column
