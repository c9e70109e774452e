"""Writing tables: the same rows always give the same bytes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.files import whole

ROWS_PER_GROUP = 131_072


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet (zstd, page checksums), whole."""
    with whole(path) as partial:
        pq.write_table(
            table.combine_chunks(),
            partial,
            compression="zstd",
            row_group_size=ROWS_PER_GROUP,
            write_page_checksum=True,
        )
