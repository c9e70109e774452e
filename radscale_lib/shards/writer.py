"""Write a shard: a Parquet file whose images can be fetched in small groups."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.files import atomic_write
from radscale_lib.shards.schema import ROW_GROUP, VERSION, image_digest, row_digest, shard_schema
from radscale_lib.study.archive import Labels


class ShardWriter:
    """Appends rows to a shard; made by `open_shard`."""

    def __init__(self, parquet: pq.ParquetWriter) -> None:
        """Write to an open Parquet file that has a shard's schema."""
        self._parquet = parquet
        self._pending: list[dict[str, Any]] = []
        self.rows = 0

    def append(self, row: Mapping[str, Any]) -> int:
        """Add a row (all columns of a shard except digests); return its position in the shard."""
        digests = {"image_digest": image_digest(row["image"]), "digest": row_digest(row)}
        self._pending.append({**row, **digests})
        self.rows += 1
        if len(self._pending) == ROW_GROUP:
            self.flush()
        return self.rows - 1

    def flush(self) -> None:
        """Write the pending rows as a row group."""
        if self._pending:
            table = pa.Table.from_pylist(self._pending, schema=self._parquet.schema)
            self._parquet.write_table(table, row_group_size=ROW_GROUP)
            self._pending = []


@contextmanager
def open_shard(
    path: Path, labels: Labels, stage: str, demographics: Sequence[str] = ()
) -> Iterator[ShardWriter]:
    """Open a shard for writing; it appears only if the block succeeds.

    The image column is PLAIN and uncompressed, without dictionary or statistics: PNG does not
    shrink further, and a reader can then access single images. Every page has a CRC-32.

    Args:
        path: the Parquet file to make.
        labels: label names of the study.
        stage: the stage id, kept in the file's metadata.
        demographics: columns of the patient that the archive keeps.
    """
    schema = shard_schema(labels, demographics).with_metadata(
        {"radscale.schema": VERSION, "radscale.stage": stage}
    )
    others = [name for name in schema.names if name != "image"]
    with (
        atomic_write(path) as partial,
        pq.ParquetWriter(
            partial,
            schema,
            compression={**dict.fromkeys(others, "zstd"), "image": "none"},
            use_dictionary=others,
            write_statistics=others,
            write_page_checksum=True,
        ) as parquet,
    ):
        writer = ShardWriter(parquet)
        yield writer
        writer.flush()
