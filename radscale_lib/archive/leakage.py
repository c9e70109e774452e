"""Check that a test archive shares no patient or image with what encoders or heads learn from."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from radscale_lib.shards.parquet import write_table

LEARNT_FROM = ("pool", "train", "validation")
"""Splits of an archive that encoders or heads learn from."""
SCHEMA = pl.Schema({"archive": pl.String(), "patients": pl.Int64(), "images": pl.Int64()})
"""Columns of `leakage.parquet`: the archive learnt from, and patients and images in both; null if
not comparable, because keys or image preparation differ."""


class LeakageError(ValueError):
    """A test archive that overlaps with training data; the message has counts only."""


class Learnt(NamedTuple):
    """An archive that encoders or heads learn from."""

    name: str
    catalog: Path
    same_key: bool
    """Whether its pseudonyms use the test archive's key."""
    same_images: bool
    """Whether its images are prepared like the test archive's."""


def check_leakage(name: str, catalog: Path, learnt: Sequence[Learnt], out: Path) -> None:
    """Compare a test archive with those learnt from, and write the result.

    Args:
        name: the test archive's.
        catalog: its catalog.
        learnt: the other archives.
        out: the table to write, with `SCHEMA`.

    Raises:
        LeakageError: if an image, or a patient, is in both; nothing is written.
    """
    test = pl.scan_parquet(catalog)
    rows, found = [], []
    for other in learnt:
        theirs = pl.scan_parquet(other.catalog).filter(pl.col("split").is_in(LEARNT_FROM))
        patients = _shared(test, theirs, "patient_id") if other.same_key else None
        images = _shared(test, theirs, "image_digest") if other.same_images else None
        rows.append((other.name, patients, images))
        if patients or images:
            counts = [_told(patients, "patient")] if patients else []
            counts += [_told(images, "image")] if images else []
            found.append(f"{' and '.join(counts)} of '{other.name}'")
    if found:
        raise LeakageError(
            f"test_archives.{name}: it holds {', and '.join(found)} that encoders or heads learn "
            "from, so that its scores would tell of memory: leave them out of it; if equal patient "
            f"numbers are of different people, give test_archives.{name} a key_file of its own"
        )
    write_table(out, pl.DataFrame(rows, schema=SCHEMA, orient="row").to_arrow())


def _told(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _shared(one: pl.LazyFrame, other: pl.LazyFrame, column: str) -> int:
    """Number of distinct values of a hexadecimal column that both tables have."""
    values = (frame.select(pl.col(column).str.decode("hex")).unique() for frame in (one, other))
    mine, theirs = values
    return int(mine.join(theirs, on=column, how="semi").select(pl.len()).collect().item())
