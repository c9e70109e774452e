"""Write tables so that the same rows always give the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.files import atomic_write

ROWS_PER_GROUP = 131_072


class TableWriter:
    """Appends rows to a table; made by `open_table`."""

    def __init__(self, parquet: pq.ParquetWriter, rows_per_group: int) -> None:
        """Write to an open Parquet file, in row groups of equal size."""
        self._parquet, self._size = parquet, rows_per_group
        self._pending = parquet.schema.empty_table()

    def append(self, table: pa.Table) -> None:
        """Add rows; the file does not depend on how they are divided among calls."""
        self._pending = pa.concat_tables([self._pending, table])
        while self._pending.num_rows >= self._size:
            self._write(self._pending.slice(0, self._size))
            self._pending = self._pending.slice(self._size)

    def flush(self) -> None:
        """Write the pending rows."""
        if self._pending.num_rows:
            self._write(self._pending)

    def _write(self, table: pa.Table) -> None:
        self._parquet.write_table(table.combine_chunks(), row_group_size=self._size)


@contextmanager
def open_table(
    path: Path, schema: pa.Schema, rows_per_group: int = ROWS_PER_GROUP
) -> Iterator[TableWriter]:
    """Open a table for writing (zstd, page checksums); it appears only if the block succeeds."""
    with (
        atomic_write(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd", write_page_checksum=True) as parquet,
    ):
        writer = TableWriter(parquet, rows_per_group)
        yield writer
        writer.flush()


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet (zstd, page checksums), atomically."""
    with open_table(path, table.schema) as writer:
        writer.append(table)
