"""Reading images from shards, in any order."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from radscale_lib.shards import codec
from radscale_lib.shards.errors import DamagedImageError, ShardError
from radscale_lib.shards.ranges import Ranges, ShardRanges, checksum, fingerprint
from radscale_lib.shards.schema import image_digest
from radscale_lib.shards.storage import Storage

REQUESTS = 16
"""Requests to an object store at once, in each process."""

Grey = NDArray[np.uint8]
T = TypeVar("T")


class _Group(NamedTuple):
    """Images of a row group, and which of them are damaged."""

    images: pa.ChunkedArray
    damaged: frozenset[int]


class ShardReader:
    """Images of a folder of shards, addressed by the catalog's columns `shard` and `row`.

    With an index of byte ranges, an image costs one read of its own bytes, and its checksum is
    verified. Without one, the row groups that hold the asked images are read, the checksums of
    their pages are verified, and the most recently used ones are kept, up to `cache_bytes`. A
    reader can be pickled or forked into data-loader workers: each process opens its own files.

    Example:
        reader = ShardReader(study.folder / "data" / "institution" / "shards")
        images = reader.images(catalog["shard"], catalog["row"])  # list of uint8 [H, W]
    """

    def __init__(
        self, folder: Path | str, ranges: Path | None = None, cache_bytes: int = 256 * 2**20
    ) -> None:
        """Read from `folder`, a path or an address (`Storage`).

        Args:
            folder: where the shards lie.
            ranges: index of byte ranges (`write_ranges`).
            cache_bytes: encoded images of whole row groups that are kept in memory.
        """
        self.cache_bytes = cache_bytes
        self.held_bytes = 0
        """Encoded images in memory at the moment, bytes."""
        self._storage = Storage(folder)
        self._ranges = Ranges(ranges) if ranges else None
        self._known: dict[str, ShardRanges | None] = {}
        self._files: dict[str, tuple[pq.ParquetFile, NDArray[np.int64]]] = {}
        self._groups: OrderedDict[tuple[str, int], _Group] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Open files and cached groups stay in this process."""
        ranges = self._ranges.path if self._ranges else None
        return {
            "folder": self._storage.folder,
            "ranges": ranges,
            "cache_bytes": self.cache_bytes,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start afresh with the same folder."""
        self.__init__(**state)  # type: ignore[misc]

    def check(self, rows: Mapping[str, int]) -> None:
        """Make sure that shards are there, whole, those of the index, and long enough.

        Reads the end of each file, and no image.

        Args:
            rows: for each shard, the last row that will be asked for.

        Raises:
            ShardError: naming every shard that is not.
        """
        read = self._mapper(len(rows))
        problems = [problem for problem in read(self._problem, rows, rows.values()) if problem]
        if problems:
            raise ShardError("\n".join(problems))

    def _problem(self, shard: str, last: int) -> str | None:
        try:
            if self._ranges:
                self._ranges.verify(self._storage, shard)
            else:
                fingerprint(self._storage, shard)
            self._check_row(shard, last)
        except ShardError as problem:
            return str(problem)
        return None

    def will_need(self, shards: Sequence[str], rows: Sequence[int]) -> None:
        """Start reading images from disk, without waiting for them."""
        for shard, row in zip(shards, rows, strict=True):
            ranges = self._of(shard)
            if ranges is not None and 0 <= row < len(ranges.offset):
                self._storage.open(shard).will_need(
                    int(ranges.offset[row]), int(ranges.length[row])
                )

    def encoded(self, shards: Sequence[str], rows: Sequence[int]) -> list[bytes]:
        """Images at (shard, row) as they are stored (`codec.decode`), in the asked order.

        Raises:
            ShardError: naming the shard and row that is missing or damaged.
        """
        return _sound(self._fetch(shards, rows))

    def images(self, shards: Sequence[str], rows: Sequence[int]) -> list[Grey]:
        """Decoded images at (shard, row), uint8 [H, W] each, in the asked order.

        Images of 16 bits are rounded to 8 (`codec.as_8_bits`).

        Raises:
            ShardError: naming the shard and row that is missing or damaged.
        """
        return _sound(self.images_or_defects(shards, rows))

    def images_or_defects(
        self, shards: Sequence[str], rows: Sequence[int]
    ) -> list[Grey | DamagedImageError]:
        """As `images`, with the error in the place of each damaged image.

        Raises:
            ShardError: if a whole shard is missing or cut short.
        """
        fetched = self._fetch(shards, rows)
        return [
            data if isinstance(data, DamagedImageError) else self._decode(shard, row, data)
            for shard, row, data in zip(shards, rows, fetched, strict=True)
        ]

    def _decode(self, shard: str, row: int, data: bytes) -> Grey | DamagedImageError:
        try:
            return codec.as_8_bits(codec.decode(data))
        except ValueError:
            return self._damaged(shard, row, "holds no decodable image")

    def _damaged(self, shard: str, row: int, defect: str) -> DamagedImageError:
        remedy = "delete the shard and ingest its partition again"
        address = self._storage.address(shard)
        return DamagedImageError(f"{address}: row {row} {defect}: {remedy}", shard, row)

    def _fetch(self, shards: Sequence[str], rows: Sequence[int]) -> list[bytes | DamagedImageError]:
        places = [(shard, int(row)) for shard, row in zip(shards, rows, strict=True)]
        found: dict[int, bytes | DamagedImageError] = {}
        direct: list[int] = []
        grouped: list[tuple[str, int, int, int]] = []
        for position, (shard, row) in enumerate(places):
            self._check_row(shard, row)
            if self._of(shard) is not None:
                direct.append(position)
            else:
                grouped.append((shard, *self._place(shard, row), position))
        read = self._mapper(len(direct))
        for position, data in zip(
            direct, read(lambda i: self._at_range(*places[i]), direct), strict=True
        ):
            found[position] = data
        # One visit to each row group, however the asked images are mixed.
        for shard, group, offset, position in sorted(grouped):
            found[position] = self._in_group(shard, group, offset, places[position][1])
        return [found[position] for position in range(len(places))]

    def _mapper(self, count: int) -> Callable[..., Any]:
        """`map`, with many requests at once where each waits for a network."""
        if not self._storage.is_remote or count < 2:
            return map
        self._pool = self._pool or ThreadPoolExecutor(REQUESTS)
        return self._pool.map

    def _of(self, shard: str) -> ShardRanges | None:
        if shard not in self._known:
            self._known[shard] = self._ranges.of(shard) if self._ranges else None
        return self._known[shard]

    def _rows(self, shard: str) -> int:
        ranges = self._of(shard)
        return int(self._open(shard)[1][-1]) if ranges is None else len(ranges.offset)

    def _check_row(self, shard: str, row: int) -> None:
        rows = self._rows(shard)
        if not 0 <= row < rows:
            raise ShardError(
                f"{self._storage.address(shard)}: no row {row} among {rows}: the catalog is older "
                "or newer than the shard: run catalog again"
            )

    def _at_range(self, shard: str, row: int) -> bytes | DamagedImageError:
        ranges = self._of(shard)
        assert ranges is not None
        try:
            data = self._storage.open(shard).read(int(ranges.offset[row]), int(ranges.length[row]))
        except OSError:
            return self._damaged(shard, row, "cannot be read")
        if checksum(data) != ranges.crc32[row]:
            return self._damaged(shard, row, "is damaged (checksum)")
        return data

    def _open(self, shard: str) -> tuple[pq.ParquetFile, NDArray[np.int64]]:
        if shard not in self._files:
            # Names what is missing or cut short.
            fingerprint(self._storage, shard)
            file = self._parquet(shard, verified=True)
            counts = [
                file.metadata.row_group(group).num_rows
                for group in range(file.metadata.num_row_groups)
            ]
            self._files[shard] = file, np.cumsum([0, *counts])
        return self._files[shard]

    def _parquet(self, shard: str, verified: bool) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(
                self._storage.for_pyarrow(shard), page_checksum_verification=verified
            )
        except (OSError, pa.ArrowException):
            raise ShardError(
                f"{self._storage.address(shard)} is no readable shard: ingest its partition again"
            ) from None

    def _place(self, shard: str, row: int) -> tuple[int, int]:
        """The row group of a row, and its offset in it."""
        _, starts = self._open(shard)
        group = int(np.searchsorted(starts, row, side="right")) - 1
        return group, row - int(starts[group])

    def _in_group(self, shard: str, group: int, offset: int, row: int) -> bytes | DamagedImageError:
        images, damaged = self._group(shard, group)
        if offset in damaged:
            return self._damaged(shard, row, "is damaged (checksum)")
        data: bytes = images[offset].as_py()
        return data

    def _group(self, shard: str, group: int) -> _Group:
        key = shard, group
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        file, _ = self._open(shard)
        try:
            found = _Group(_read_images(file, group), frozenset())
        except (OSError, pa.ArrowException):
            found = self._salvage(shard, group)
        self._groups[key] = found
        self.held_bytes += found.images.nbytes
        while self.held_bytes > self.cache_bytes:
            _, dropped = self._groups.popitem(last=False)
            self.held_bytes -= dropped.images.nbytes
        return found

    def _salvage(self, shard: str, group: int) -> _Group:
        """A row group with a damaged page: its sound images, by their digests."""
        columns = ["image", "image_digest"]
        try:
            rows = self._parquet(shard, verified=False).read_row_group(group, columns=columns)
        except (OSError, pa.ArrowException):
            count = int(np.diff(self._open(shard)[1])[group])
            return _Group(pa.chunked_array([pa.nulls(count)]), frozenset(range(count)))
        damaged = (
            i
            for i, (image, digest) in enumerate(zip(*map(rows.column, columns), strict=True))
            if image_digest(image.as_py()) != digest.as_py()
        )
        return _Group(rows["image"], frozenset(damaged))


def _read_images(file: pq.ParquetFile, group: int) -> pa.ChunkedArray:
    return file.read_row_group(group, columns=["image"])["image"]


def _sound(found: Sequence[T | DamagedImageError]) -> list[T]:
    """The images; raises the first defect."""
    sound: list[T] = []
    for image in found:
        if isinstance(image, DamagedImageError):
            raise image
        sound.append(image)
    return sound
