"""Draw a subset's table from a catalog of any size, in little memory."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from radscale_lib.shards.parquet import ROWS_PER_GROUP, open_table
from radscale_lib.study.subsets import Curated, Stratified, Subsets
from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.order import order, prefix, require

SCHEMA = pa.schema(
    [("rank", pa.int64()), ("image_id", pa.large_string()), ("digest", pa.large_string())]
)
ID_BYTES = 32
"""Length of ids and digests (`docs/reference/data-contracts.md`)."""


def write_subset(path: Path, seed: int, size: int, settings: Subsets, out: Path) -> None:
    """Draw the subset of a given size from a catalog file, and write it.

    Columns rank (int64, from 0), image_id, digest, in order.

    Raises:
        SubsetError: if it cannot be drawn.
    """
    kind = settings.order
    curation = pl.read_parquet(kind.table, glob=False) if isinstance(kind, Curated) else None
    catalog = read_units(path, settings)
    rows = prefix(order(catalog, seed, settings, curation), catalog, size, settings).to_numpy()
    del catalog, curation
    columns = [_texts(path, name) for name in ("image_id", "digest")]
    if not (columns[0][1:] >= columns[0][:-1]).all():
        raise SubsetError(f"{path} is not sorted by image_id: run catalog again")
    with open_table(out, SCHEMA) as table:
        for start in range(0, len(rows), ROWS_PER_GROUP):
            part = rows[start : start + ROWS_PER_GROUP]
            ranks = pa.array(np.arange(start, start + len(part)))
            texts = (pa.array(column[part]).cast(pa.large_string()) for column in columns)
            table.append(pa.table([ranks, *texts], schema=SCHEMA))


def read_units(path: Path, settings: Subsets) -> pl.DataFrame:
    """The columns of a catalog file that an order needs, with texts as integer codes.

    Raises:
        SubsetError: if a column is missing.
    """
    file = pq.ParquetFile(path)
    wanted = ["split", f"{settings.unit}_id"]
    if isinstance(settings.order, Stratified):
        require(file.schema_arrow.names, settings.order.by)
        wanted += settings.order.by
    if isinstance(settings.order, Curated):
        wanted.append("image_id")
    codes = pl.col(pl.String).cast(pl.Categorical)
    # One row group at a time, since texts take several times the memory of their codes.
    groups = (
        file.read_row_group(group, columns=list(dict.fromkeys(wanted)))
        for group in range(file.num_row_groups)
    )
    return pl.concat([pl.DataFrame(group).with_columns(codes) for group in groups])


def _texts(path: Path, column: str) -> NDArray[np.bytes_]:
    """A column of ids as plain bytes: S32 [rows]."""
    file = pq.ParquetFile(path)
    texts = np.empty(file.metadata.num_rows, f"S{ID_BYTES}")
    start = 0
    for group in range(file.num_row_groups):
        values = file.read_row_group(group, columns=[column])[column].combine_chunks()
        try:
            packed = values.cast(pa.binary()).cast(pa.binary(ID_BYTES))
        except pa.ArrowInvalid:
            raise SubsetError(
                f"{path}: {column} is not of {ID_BYTES} characters: run catalog again"
            ) from None
        texts[start : start + len(values)] = packed.to_numpy(zero_copy_only=False)
        start += len(values)
    return texts
