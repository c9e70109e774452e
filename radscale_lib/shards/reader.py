"""Read images from shards, in any order."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from radscale_lib.shards import codec
from radscale_lib.shards.codec import Grey
from radscale_lib.shards.errors import DamagedImageError, ShardError
from radscale_lib.shards.ranges import Ranges, Span, checksum, fingerprint
from radscale_lib.shards.schema import image_digest
from radscale_lib.shards.storage import LocalFile, Storage

REQUESTS = 16
"""Number of concurrent requests to an object store, per process."""
VIEWED_BYTES = 256 * 2**20
"""Number of page-cache pages that may count as a process's memory at once."""

Encoded = bytes | memoryview
T = TypeVar("T")


class Request(NamedTuple):
    """Images being read.

    Attributes:
        shards: of each image.
        rows: of each image.
        spans: place of each image in its file; None if it is not in the index.
        ahead: whether each is in the page cache; for a remote file, a future of its bytes.
    """

    shards: list[str]
    rows: list[int]
    spans: list[Span | None]
    ahead: list[bool | Future[bytes]]


class _Group(NamedTuple):
    """Images of a row group, damaged ones marked."""

    images: pa.ChunkedArray
    damaged: frozenset[int]


class ShardReader:
    """Images of a folder of shards, addressed by the catalog's columns `shard` and `row`.

    With an index of byte ranges, an image costs one read of its own bytes, or none if they are in
    the page cache, and its checksum is verified. Without one, the row groups with the requested
    images are read, their page checksums are verified, and the most recently used ones are kept, up
    to `cache_bytes`. A reader can be pickled or forked into data-loader workers: each process opens
    its own files.

    Example:
        reader = ShardReader(study.folder / "data" / "institution" / "shards")
        images = reader.images(catalog["shard"], catalog["row"])  # list of uint8 [H, W]
    """

    def __init__(
        self, folder: Path | str, ranges: Path | None = None, cache_bytes: int = 256 * 2**20
    ) -> None:
        """Read from `folder`, a path or an address (`Storage`).

        Args:
            folder: folder of the shards.
            ranges: index of byte ranges (`write_ranges`).
            cache_bytes: maximum size of the encoded images of whole row groups kept in memory.
        """
        self.cache_bytes = cache_bytes
        self.held_bytes = 0
        """Size of the encoded images in memory now, bytes."""
        self._storage = Storage(folder)
        self._ranges = Ranges(ranges) if ranges else None
        self._viewed_bytes = 0
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
        """Check that shards exist, are complete, match the index, and have enough rows.

        Reads only the end of each file.

        Args:
            rows: for each shard, the last row that will be requested.

        Raises:
            ShardError: naming every shard that fails.
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

    def request(self, shards: Sequence[str], rows: Sequence[int]) -> Request:
        """Start reading the images at (shard, row), without waiting for them.

        Raises:
            ShardError: naming a row that is not in its shard.
        """
        names, numbers = list(shards), [int(row) for row in rows]
        spans = self._spans(names, numbers)
        ahead = [
            span is not None and self._start(shard, span)
            for shard, span in zip(names, spans, strict=True)
        ]
        return Request(names, numbers, spans, ahead)

    def _spans(self, shards: Sequence[str], rows: Sequence[int]) -> list[Span | None]:
        if self._ranges is None:
            return [None] * len(rows)
        places = self._ranges.places
        indexed: list[int] = []
        for shard, row in zip(shards, rows, strict=True):
            known = places.get(shard)
            if known is None:
                indexed.append(-1)
            elif 0 <= row < len(known):
                indexed.append(known[row])
            else:
                raise self._no_row(shard, row, len(known))
        return self._ranges.at(indexed)

    def _start(self, shard: str, span: Span) -> bool | Future[bytes]:
        offset, length, _ = span
        try:
            file = self._storage.open(shard)
        except OSError:
            return False  # The later read names the image.
        if isinstance(file, LocalFile):
            return file.announce(offset, length)
        self._pool = self._pool or ThreadPoolExecutor(REQUESTS)
        return self._pool.submit(file.read, offset, length)

    def encoded(self, shards: Sequence[str], rows: Sequence[int]) -> list[Encoded]:
        """Encoded images at (shard, row), in the requested order; cached ones as views.

        Raises:
            ShardError: naming the shard and row that is missing or damaged.
        """
        return _undamaged(self.encoded_or_defects(self.request(shards, rows)))

    def images(self, shards: Sequence[str], rows: Sequence[int]) -> list[Grey]:
        """Decoded images at (shard, row), uint8 [H, W] each, in the requested order.

        Images of 16 bits are rounded to 8 (`codec.as_8_bits`).

        Raises:
            ShardError: naming the shard and row that is missing or damaged.
        """
        return _undamaged(self.images_or_defects(self.request(shards, rows)))

    def images_or_defects(self, request: Request) -> list[Grey | DamagedImageError]:
        """Like `images`, with the error in place of each damaged image.

        Raises:
            ShardError: if a whole shard is missing or cut short.
        """
        return [
            data if isinstance(data, DamagedImageError) else self._decode(shard, row, data)
            for shard, row, data in zip(
                request.shards, request.rows, self.encoded_or_defects(request), strict=True
            )
        ]

    def _decode(self, shard: str, row: int, data: Encoded) -> Grey | DamagedImageError:
        try:
            return codec.as_8_bits(codec.decode(data))
        except ValueError:
            return self._damaged(shard, row, "holds no decodable image")

    def _damaged(self, shard: str, row: int, defect: str) -> DamagedImageError:
        remedy = "delete the shard and ingest its partition again"
        address = self._storage.address(shard)
        return DamagedImageError(f"{address}: row {row} {defect}: {remedy}", shard, row)

    def encoded_or_defects(self, request: Request) -> Iterator[Encoded | DamagedImageError]:
        """Like `encoded`, with the error in place of each damaged image.

        Raises:
            ShardError: if a whole shard is missing or cut short.
        """
        grouped = self._in_groups(request)
        for position, (shard, row, span, ahead) in enumerate(zip(*request, strict=True)):
            if span is None:
                yield grouped[position]
            else:
                yield self._at_span(shard, row, span, ahead)

    def _in_groups(self, request: Request) -> dict[int, bytes | DamagedImageError]:
        """The images that are not in the index, by position in a request."""
        wanted = []
        for position, (shard, row, span, _) in enumerate(zip(*request, strict=True)):
            if span is None:
                self._check_row(shard, row)
                wanted.append((shard, *self._place(shard, row), position))
        # Visit each row group once, whatever the order of the requested images.
        return {
            position: self._in_group(shard, group, offset, request.rows[position])
            for shard, group, offset, position in sorted(wanted)
        }

    def _mapper(self, count: int) -> Callable[..., Any]:
        """`map`, with concurrent requests if each waits for a network."""
        if not self._storage.is_remote or count < 2:
            return map
        self._pool = self._pool or ThreadPoolExecutor(REQUESTS)
        return self._pool.map

    def _check_row(self, shard: str, row: int) -> None:
        known = self._ranges.places.get(shard) if self._ranges else None
        rows = int(self._open(shard)[1][-1]) if known is None else len(known)
        if not 0 <= row < rows:
            raise self._no_row(shard, row, rows)

    def _no_row(self, shard: str, row: int, rows: int) -> ShardError:
        return ShardError(
            f"{self._storage.address(shard)}: no row {row} among {rows}: the catalog is older "
            "or newer than the shard: run catalog again"
        )

    def _at_span(
        self, shard: str, row: int, span: Span, ahead: bool | Future[bytes]
    ) -> Encoded | DamagedImageError:
        offset, length, expected = span
        data: Encoded
        try:
            if isinstance(ahead, Future):
                data = ahead.result()
            else:
                file = self._storage.open(shard)
                if ahead and isinstance(file, LocalFile):
                    data = file.view(offset, length)
                    self._count_view(length)
                else:
                    data = file.read(offset, length)
        except OSError:
            return self._damaged(shard, row, "cannot be read")
        if checksum(data) != expected:
            return self._damaged(shard, row, "is damaged (checksum)")
        return data

    def _count_view(self, length: int) -> None:
        self._viewed_bytes += length
        if self._viewed_bytes > VIEWED_BYTES:
            self._storage.forget_views()
            self._viewed_bytes = 0

    def _open(self, shard: str) -> tuple[pq.ParquetFile, NDArray[np.int64]]:
        if shard not in self._files:
            # Names what is missing or truncated.
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
                f"{self._storage.address(shard)} is not a readable shard: ingest its partition "
                "again"
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
        """The intact images, by digest, of a row group with a damaged page."""
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


def _undamaged(found: Iterable[T | DamagedImageError]) -> list[T]:
    """The images; raise the first defect."""
    sound: list[T] = []
    for image in found:
        if isinstance(image, DamagedImageError):
            raise image
        sound.append(image)
    return sound
