"""From the partitions of an archive to one ledger and one catalog."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow.parquet as pq

from radscale_lib.archive.listing import read_listing
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.study.archive import Splits

OUTCOMES = ("accepted", "excluded", "quarantined", "duplicate")


class CatalogError(ValueError):
    """Partitions that do not add up."""


@dataclass(frozen=True)
class Partition:
    """The files of one partition."""

    number: int
    listing: Path
    ledger: Path
    shard: Path


def partitions_of(
    listings: Sequence[Path], ledgers: Sequence[Path], shards: Sequence[Path]
) -> list[Partition]:
    """Match files by the number in their names, in order.

    Raises:
        CatalogError: if a partition lacks one of the three.
    """
    by_number = [{_number(path): path for path in paths} for paths in (listings, ledgers, shards)]
    numbers = set.union(*map(set, by_number))
    for number in sorted(numbers):
        for paths, what in zip(by_number, ("listing", "ledger", "shard"), strict=True):
            if number not in paths:
                raise CatalogError(f"partition {number} has no {what}: run its ingest again")
    return [Partition(n, *(paths[n] for paths in by_number)) for n in sorted(numbers)]


def merge(
    partitions: Sequence[Partition], splits: Splits | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Merge the partitions of an archive.

    Of an image that several partitions hold, the first partition's counts; the others become
    duplicates in the ledger, and their rows are not in the catalog.

    Args:
        partitions: in order of their numbers.
        splits: shares of patients; None puts everyone in the pool.

    Returns:
        The ledger of all files, and the catalog.

    Raises:
        CatalogError: if the listed files are not accepted + excluded + quarantined + duplicate, or
            a shard does not hold what its ledger says.
    """
    parts = [_read(partition) for partition in partitions]
    images = pl.concat([part.images for part in parts])
    is_first = pl.col("image_id").is_first_distinct()
    copies = images.filter(~is_first).select("shard", "row")
    catalog = images.filter(is_first).sort("image_id")
    ledger = _with_duplicates(pl.concat([part.ledger for part in parts]), copies)
    _check_counts(ledger, sum(part.listed for part in parts), catalog.height)
    return ledger, catalog.with_columns(_split(catalog["patient_id"], splits))


def split_of(patient_id: str, splits: Splits) -> str:
    """The split of a patient: test lowest, then validation, then train; the rest is the pool."""
    place = unit_interval(patient_id, "split")
    edge = 0.0
    for name in ("test", "validation", "train"):
        edge += getattr(splits, name)
        if place < edge:
            return name
    return "pool"


def _number(path: Path) -> int:
    match = re.fullmatch(r"part=(\d+)\.\w+", path.name)
    if match is None:
        raise CatalogError(f"{path}: no file of a partition: its name must be part=<number>")
    return int(match[1])


class _Part(NamedTuple):
    """The content of a partition."""

    listed: int
    ledger: pl.DataFrame
    images: pl.DataFrame


def _read(partition: Partition) -> _Part:
    listed = len(read_listing(partition.listing))
    ledger = pl.read_parquet(partition.ledger)
    images = _images(partition)
    accepted = int((ledger["outcome"] == "accepted").sum())
    remedy = f"run the ingest of partition {partition.number} again"
    if ledger.height != listed:
        raise CatalogError(
            f"{partition.ledger}: {ledger.height} files, but {listed} are listed: {remedy}"
        )
    if accepted != images.height:
        raise CatalogError(
            f"{partition.ledger}: {accepted} accepted files, but its shard holds "
            f"{images.height} images: {remedy}"
        )
    number = pl.lit(partition.number, pl.Int32).alias("partition")
    return _Part(listed, ledger.with_columns(number), images)


def _images(partition: Partition) -> pl.DataFrame:
    file = pq.ParquetFile(partition.shard)
    columns = [name for name in file.schema_arrow.names if name != "image"]
    images = pl.from_arrow(file.read(columns=columns))
    assert isinstance(images, pl.DataFrame)
    return images.with_columns(
        pl.lit(partition.shard.name).alias("shard"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
    )


def _with_duplicates(ledger: pl.DataFrame, copies: pl.DataFrame) -> pl.DataFrame:
    copied = pl.col("copy").is_not_null()
    marked = ledger.join(
        copies.with_columns(pl.lit(True).alias("copy")),
        on=["shard", "row"],
        how="left",
        maintain_order="left",
    )
    return marked.with_columns(
        pl.when(copied).then(pl.lit("duplicate")).otherwise("outcome").alias("outcome"),
        pl.when(copied).then(pl.lit("same_sop_instance_uid")).otherwise("reason").alias("reason"),
        pl.when(copied).then(pl.lit("in another partition")).otherwise("detail").alias("detail"),
        pl.when(copied).then(None).otherwise("shard").alias("shard"),
        pl.when(copied).then(None).otherwise("row").alias("row"),
    ).drop("copy")


def _check_counts(ledger: pl.DataFrame, listed: int, images: int) -> None:
    counts = {name: int((ledger["outcome"] == name).sum()) for name in OUTCOMES}
    if sum(counts.values()) != listed or counts["accepted"] != images:
        found = " + ".join(f"{n} {name}" for name, n in counts.items())
        raise CatalogError(
            f"{listed} files are listed, but the ledger has {found} and the catalog {images} "
            "images: run scan and ingest again"
        )


def _split(patients: pl.Series, splits: Splits | None) -> pl.Series:
    if splits is None:
        return pl.Series("split", ["pool"] * len(patients), pl.String)
    names = {patient: split_of(patient, splits) for patient in patients.unique()}
    return pl.Series("split", [names[patient] for patient in patients], pl.String)
