"""The log of a run as a table."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.files import atomic_write

COUNTS = ("step", "samples", "spikes", "skipped")
SCHEMA = ("step", "samples", "loss", "lr", "images_per_second")


def write_log(path: Path, rows: list[dict[str, float]]) -> None:
    """Write `log.parquet`: a row per logged step; float64 except for counts, null if unknown."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(SCHEMA)
    schema = pa.schema(
        [pa.field(name, pa.int64() if name in COUNTS else pa.float64()) for name in names]
    )
    with atomic_write(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial)
