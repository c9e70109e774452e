"""The index of byte ranges: the place of each image in its shard, and its checksum.

It takes 20 bytes per image, in one file per folder of shards, which all processes of a machine map.
It only speeds up reading: a shard that is not in the index, or whose storage does not allow it
(`pages`), is read by row group.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from radscale_lib.files import atomic_write
from radscale_lib.shards.errors import ShardError
from radscale_lib.shards.pages import NotAddressableError, chunk_of, value_ranges
from radscale_lib.shards.storage import Storage

VERSION = "2"
_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("xxh3", pa.uint64(), nullable=False),
    ]
)


class StaleIndexError(ShardError):
    """An index of different shards."""


Span = tuple[int, int, int]
"""Offset, length and checksum of an image."""


@dataclass(frozen=True)
class Fingerprint:
    """What distinguishes shards with the same name: size, and a digest of the footer."""

    size: int
    footer: str


@dataclass(frozen=True)
class Entry:
    """A shard in the index.

    Attributes:
        name: file name.
        rows: number of images.
        fingerprint: fingerprint of the indexed file.
        refused: why its images have no byte ranges; None if they have.
    """

    name: str
    rows: int
    fingerprint: Fingerprint
    refused: str | None = None


class ByteRanges(NamedTuple):
    """Byte ranges of images: int64, int32 and uint64 [images]."""

    offset: NDArray[np.int64]
    length: NDArray[np.int32]
    xxh3: NDArray[np.uint64]


def checksum(data: bytes | memoryview) -> int:
    """XXH3 of an image's bytes, 64 bits without a seed (xxHash specification 0.2)."""
    return xxh3_64_intdigest(data)


def fingerprint(storage: Storage, name: str) -> Fingerprint:
    """The fingerprint of a shard, read from the end of the file.

    Raises:
        ShardError: if the shard is missing or cut short.
    """
    address = storage.address(name)
    try:
        file = storage.open(name)
        tail = file.read(max(file.size - _TAIL.size, 0), _TAIL.size)
        length, magic = _TAIL.unpack(tail) if len(tail) == _TAIL.size else (0, b"")
        size = length + _TAIL.size
        if magic != _MAGIC or size > file.size:
            raise ShardError(f"{address} is not a complete shard: ingest its partition again")
        footer = file.read(file.size - size, size)
    except OSError:
        raise ShardError(f"{address} is missing: ingest its partition again") from None
    return Fingerprint(file.size, hashlib.blake2b(footer, digest_size=16).hexdigest())


def write_ranges(
    folder: Path | str, shards: Sequence[str], out: Path, threads: int = 1
) -> list[Entry]:
    """Index shards.

    Every image is read twice, by its byte range and by pyarrow, and both must agree; pyarrow also
    verifies the page checksums. So an index is proof that its shards were intact.

    Args:
        folder: folder or address of the shards.
        shards: their names.
        out: the file to write.
        threads: number of shards read at once.

    Returns:
        The entry of each shard, in the given order.

    Raises:
        ShardError: if a shard is missing or damaged.
    """
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda name: _index(Storage(folder), name), shards))
    entries = [entry for entry, _ in found]
    table = pa.table(
        [
            np.concatenate([np.empty(0, dtype), *(part[place] for _, part in found)])
            for place, dtype in enumerate((np.int64, np.int32, np.uint64))
        ],
        schema=SCHEMA.with_metadata(
            {
                "radscale.ranges": VERSION,
                "radscale.shards": json.dumps([asdict(entry) for entry in entries]),
            }
        ),
    )
    with atomic_write(out) as partial, pa.ipc.new_file(partial, table.schema) as file:
        file.write_table(table)
    return entries


def _index(storage: Storage, name: str) -> tuple[Entry, ByteRanges]:
    mark = fingerprint(storage, name)
    address = storage.address(name)
    try:
        file = pq.ParquetFile(storage.for_pyarrow(name), page_checksum_verification=True)
        parts = [_group_ranges(storage, name, file, g) for g in range(file.num_row_groups)]
    except NotAddressableError as reason:
        nothing = _columns([(-1, -1, 0)] * file.metadata.num_rows)
        return Entry(name, file.metadata.num_rows, mark, str(reason)), nothing
    except (OSError, pa.ArrowException):
        raise ShardError(f"{address} is damaged: delete it, ingest its partition again") from None
    rows = [row for part in parts for row in part]
    return Entry(name, len(rows), mark), _columns(rows)


def _columns(rows: Sequence[tuple[int, int, int]]) -> ByteRanges:
    offset, length, xxh3 = zip(*rows, strict=True) if rows else ((), (), ())
    return ByteRanges(
        np.array(offset, np.int64), np.array(length, np.int32), np.array(xxh3, np.uint64)
    )


def _group_ranges(
    storage: Storage, name: str, file: pq.ParquetFile, group: int
) -> list[tuple[int, int, int]]:
    """Offset, length and checksum of each image of a row group, compared with pyarrow's reading."""
    chunk = chunk_of(file.metadata, group, "image")
    images = file.read_row_group(group, columns=["image"])["image"]
    data = storage.open(name).read(chunk.offset, chunk.size)
    ranges = value_ranges(data, chunk.values)
    rows = []
    for (start, length), image in zip(ranges, images, strict=True):
        value = data[start : start + length]
        if value != image.as_py():
            raise NotAddressableError("pyarrow reads other bytes than lie at the ranges")
        rows.append((chunk.offset + start, length, checksum(value)))
    return rows


class Ranges:
    """An index, which each process maps for itself."""

    def __init__(self, path: Path) -> None:
        """Open the index at `path`."""
        self.path = path

    def __getstate__(self) -> dict[str, Any]:
        """Each process maps the file itself."""
        return {"path": self.path}

    @cached_property
    def _table(self) -> pa.Table:
        try:
            with pa.memory_map(str(self.path)) as source:
                table = pa.ipc.open_file(source).read_all()
            version = (table.schema.metadata or {}).get(b"radscale.ranges", b"").decode()
        except (OSError, pa.ArrowException):
            raise StaleIndexError(f"{self.path} is not a readable index: index again") from None
        if version != VERSION:
            raise StaleIndexError(f"{self.path} has version {version!r}: index the shards again")
        return table

    @cached_property
    def _columns(self) -> ByteRanges:
        offset, length, xxh3 = (_values(self._table[name]) for name in SCHEMA.names)
        return ByteRanges(offset, length, xxh3)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The entries of all shards."""
        values = json.loads(self._table.schema.metadata[b"radscale.shards"])
        return {
            value["name"]: Entry(**{**value, "fingerprint": Fingerprint(**value["fingerprint"])})
            for value in values
        }

    @cached_property
    def places(self) -> dict[str, range]:
        """The position in the index of each indexed shard's rows."""
        entries = self.entries.values()
        ends = accumulate(entry.rows for entry in entries)
        return {
            entry.name: range(end - entry.rows, end)
            for entry, end in zip(entries, ends, strict=True)
            if entry.refused is None
        }

    def at(self, places: Sequence[int]) -> list[Span | None]:
        """Offset, length and checksum of the images at positions in the index; None at -1."""
        chosen = np.array(places, np.int64)
        known = chosen >= 0
        columns = [column[chosen[known]].tolist() for column in self._columns]
        spans: Iterator[Span] = zip(*columns, strict=True)
        if known.all():
            return list(spans)
        return [next(spans) if place >= 0 else None for place in places]

    def verify(self, storage: Storage, shard: str) -> None:
        """Check that a shard is the file that was indexed.

        Raises:
            ShardError: if it is missing or cut short.
            StaleIndexError: if it is another one.
        """
        found = fingerprint(storage, shard)
        entry = self.entries.get(shard)
        if entry is not None and entry.fingerprint != found:
            raise StaleIndexError(
                f"{self.path} was made of another {storage.address(shard)}: index the shards again"
            )


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column of whole numbers without missing ones; of one batch, hence no copy.

    `to_numpy` would import pandas, which takes half a second.
    """
    array = column.combine_chunks()
    if not len(array):
        return np.empty(0, array.type.to_pandas_dtype())
    values = np.frombuffer(array.buffers()[1], array.type.to_pandas_dtype())
    return values[array.offset : array.offset + len(array)]
