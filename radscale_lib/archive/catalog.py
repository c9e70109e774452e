"""Merge the partitions of an archive into one ledger and one catalog."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.archive.joins import Joins, write_joins
from radscale_lib.archive.ledger import LEDGER_SCHEMA
from radscale_lib.archive.listing import count_listing
from radscale_lib.archive.outcomes import OUTCOMES, REUSED_UID
from radscale_lib.archive.population import empty_splits, implausible_patient
from radscale_lib.archive.scratch import scratch
from radscale_lib.archive.texts import language_problem, read_counts, write_counts
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.shards.parquet import ROWS_PER_GROUP, open_table
from radscale_lib.study.archive import DEMOGRAPHICS, TABLES, Splits

UNUSABLE = frozenset({"quarantined", "postponed"})
"""Outcomes that only a small share of an archive's files may have."""


class CatalogError(ValueError):
    """Partitions that contradict each other, or an archive that exceeds its limits."""


@dataclass(frozen=True)
class Partition:
    """The files of one partition."""

    number: int
    listing: Path
    ledger: Path
    shard: Path

    @property
    def index(self) -> Path:
        """The index of the partition."""
        return index_beside(self.ledger)


def index_beside(ledger: Path) -> Path:
    """The index of a partition, in a folder beside that of its ledger."""
    return ledger.parent.parent / "index" / ledger.name


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
    partitions: Sequence[Partition],
    splits: Splits | None,
    most_quarantined: float,
    ledger: Path,
    catalog: Path,
    most_of_one_patient: float = 1.0,
    joins: Path | None = None,
    most_unmatched: Mapping[str, float] | None = None,
    smallest_cell: int = 1,
    texts: Path | None = None,
    language: str = "en",
    most_foreign_reports: float = 1.0,
    everyone: str = "pool",
) -> None:
    """Merge the partitions of an archive into one ledger and one catalog.

    If several partitions hold the same image, by SOP Instance UID or by pixels, the first
    partition's counts. The others become duplicates in the ledger (quarantined if the UID is the
    same but the pixels differ) and are left out of the catalog. Memory grows by some 300 bytes per
    image: texts and labels pass through in buckets.

    Args:
        partitions: ordered by their numbers.
        splits: shares of patients; None puts everyone in one split.
        most_quarantined: share of the files; more is an error.
        ledger: the table of all files to write.
        catalog: the table of accepted images to write.
        most_of_one_patient: share of the images; more is an error (`population.py`).
        joins: the audit of the joins to write (`joins.SCHEMA`), if wanted.
        most_unmatched: by table, the share of its rows that may be joined to nothing; more is an
            error. Tables not named have no limit.
        smallest_cell: minimum number of patients for the catalog to name a device's model instead
            of its code.
        texts: the table to write with what the rules for texts did (`texts.write_counts`), if
            wanted.
        language: code of the language that the archive declares.
        most_foreign_reports: share of the reports in another language; more is an error.
        everyone: the split of every patient if `splits` is None.

    Raises:
        CatalogError: if accepted, excluded, quarantined, duplicate and postponed files do not add
            up to the listed ones, a shard does not hold what its ledger says, too many files are
            quarantined or postponed, one patient has too many images, a split of a large archive is
            empty, too many rows of a table are joined to nothing, or too many reports are in
            another language.
    """
    parts = [_inspect(partition) for partition in partitions]
    accepted = _accepted(partitions)
    copies = _copies(accepted)
    _write_ledger(ledger, partitions, copies, parts, most_quarantined)
    patients = accepted.join(copies, on=["partition", "row"], how="anti")["patient_id"]
    del accepted
    _check_patients(patients, splits, most_of_one_patient)
    del patients
    audit = Joins({partition.number: partition.ledger for partition in partitions})
    counts = read_counts(partition.ledger for partition in partitions)
    problems = list(audit.check(most_unmatched or dict.fromkeys(TABLES, 1.0)))
    if problem := language_problem(counts, language, most_foreign_reports):
        problems.append(problem)
    if problems:
        raise CatalogError("\n".join(problems))
    models = _models(partitions, copies, smallest_cell)
    rare = _rare(partitions, copies, smallest_cell)
    images = sum(part.accepted for part in parts)

    def split(patients: pl.Series) -> pl.Series:
        return _split(patients, splits, everyone)

    _write_catalog(catalog, partitions, copies, split, images, audit, models, rare)
    if joins is not None:
        write_joins(joins, audit)
    if texts is not None:
        write_counts(texts, counts)


def split_of(patient_id: str, splits: Splits) -> str:
    """The split of a patient: test lowest, then validation, then train; pool above."""
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
        raise CatalogError(f"{path}: not a file of a partition: its name must be part=<number>")
    return int(match[1])


class _Part(NamedTuple):
    """Files of a partition."""

    listed: int
    accepted: int


def _inspect(partition: Partition) -> _Part:
    """Check the ledger of a partition against its listing and its shard."""
    listed = count_listing(partition.listing)
    outcomes = pl.read_parquet(partition.ledger, columns=["outcome"])["outcome"]
    accepted = int((outcomes == "accepted").sum())
    images = pq.ParquetFile(partition.shard).metadata.num_rows
    remedy = f"run the ingest of partition {partition.number} again"
    if len(outcomes) != listed:
        raise CatalogError(
            f"{partition.ledger}: {len(outcomes)} files, but {listed} are listed: {remedy}"
        )
    if accepted != images:
        raise CatalogError(
            f"{partition.ledger}: {accepted} accepted files, but its shard holds {images} "
            f"images: {remedy}"
        )
    return _Part(listed, accepted)


def _accepted(partitions: Sequence[Partition]) -> pl.DataFrame:
    """Images of all partitions: partition, row, and the bytes of their ids and digests."""
    ids = ("image_id", "image_digest", "patient_id")
    return pl.concat(
        pl.read_parquet(partition.shard, columns=list(ids)).select(
            pl.lit(partition.number, pl.Int32).alias("partition"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
            pl.col(ids).str.decode("hex"),
        )
        for partition in partitions
    )


def _copies(images: pl.DataFrame) -> pl.DataFrame:
    """Images whose pixels or UID an earlier partition also has: partition, row, reason."""
    again = images.filter(~pl.col("image_id").is_first_distinct())
    images = images.filter(pl.col("image_id").is_first_distinct())
    alike = images.filter(~pl.col("image_digest").is_first_distinct())
    first = images.select("image_id", pl.col("image_digest").alias("first"))
    again = again.join(first, on="image_id", how="left", maintain_order="left")
    same = pl.col("image_digest") == pl.col("first")
    return pl.concat(
        frame.select("partition", "row", pl.lit(reason).alias("reason"))
        for frame, reason in (
            (again.filter(same), "same_sop_instance_uid"),
            (again.filter(~same), REUSED_UID),
            (alike, "same_pixels"),
        )
    )


def _check_patients(patients: pl.Series, splits: Splits | None, most: float) -> None:
    patients = patients.bin.encode("hex")
    problem = implausible_patient(patients, most)
    if problem:
        raise CatalogError(problem)
    if splits is None:
        return
    empty = list(empty_splits(patients, splits, split_of))
    number = patients.n_unique()
    if not empty or not number:
        return
    problem = f"none of {number:,} patients falls in {' or '.join(empty)}"
    if number < splits.empty_below:
        print(f"splits: {problem}", file=sys.stderr)
        return
    raise CatalogError(
        f"splits: {problem}: raise its share, or splits.empty_below, below which this is a warning"
    )


def _write_ledger(
    path: Path,
    partitions: Sequence[Partition],
    copies: pl.DataFrame,
    parts: Sequence[_Part],
    most_quarantined: float,
) -> None:
    outcomes, reasons = Counter[str](), Counter[str]()
    schema = LEDGER_SCHEMA.append(pa.field("partition", pa.int32(), nullable=False))
    with open_table(path, schema) as writer:
        for partition in partitions:
            ledger = _with_duplicates(
                pl.read_parquet(partition.ledger, columns=LEDGER_SCHEMA.names),
                copies.filter(pl.col("partition") == partition.number),
            ).with_columns(pl.lit(partition.number, pl.Int32).alias("partition"))
            outcomes.update(ledger["outcome"])
            reasons.update(ledger.filter(pl.col("outcome").is_in(UNUSABLE))["reason"])
            writer.append(ledger.to_arrow().cast(schema))
        _check_outcomes(outcomes, parts, copies.height)
        _check_quarantined(outcomes, reasons, most_quarantined)


def _with_duplicates(ledger: pl.DataFrame, copies: pl.DataFrame) -> pl.DataFrame:
    """Mark the files whose images are copies of an earlier partition's."""
    if copies.height == 0:
        return ledger
    copy = pl.col("copy").is_not_null()
    copys_outcome = (
        pl.when(pl.col("copy") == REUSED_UID)
        .then(pl.lit("quarantined"))
        .otherwise(pl.lit("duplicate"))
    )

    def marked(column: str, value: str | pl.Expr | None) -> pl.Expr:
        changed = value if isinstance(value, pl.Expr) else pl.lit(value)
        return pl.when(copy).then(changed).otherwise(column).alias(column)

    return (
        ledger.join(
            copies.select("row", pl.col("reason").alias("copy")),
            on="row",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            marked("outcome", copys_outcome),
            marked("stage", "duplicates"),
            marked("reason", pl.col("copy")),
            marked("detail", "in another partition"),
            marked("shard", None),
            marked("row", None),
        )
        .drop("copy")
    )


def _check_outcomes(outcomes: Counter[str], parts: Sequence[_Part], copies: int) -> None:
    """Check that every listed file has one outcome, and every accepted file an image."""
    listed = sum(part.listed for part in parts)
    images = sum(part.accepted for part in parts) - copies
    known = sum(outcomes[name] for name in OUTCOMES)
    if known != listed or outcomes["accepted"] != images:
        found = " + ".join(f"{outcomes[name]} {name}" for name in OUTCOMES)
        raise CatalogError(
            f"{listed} files are listed, but the ledger has {found} and the catalog {images} "
            "images: run scan and ingest again"
        )


def _check_quarantined(outcomes: Counter[str], reasons: Counter[str], most: float) -> None:
    files = outcomes.total()
    quarantined = sum(outcomes[name] for name in UNUSABLE)
    if quarantined <= most * files:
        return
    top = ", ".join(f"{count:,} {reason}" for reason, count in sorted(
        reasons.items(), key=lambda entry: (-entry[1], entry[0])
    )[:5])  # fmt: skip
    raise CatalogError(
        f"{quarantined:,} of {files:,} files are {' or '.join(sorted(UNUSABLE & set(outcomes)))} "
        f"({quarantined / files:.1%}), more "
        f"than the archive's most_quarantined ({most:.1%}). Most frequent: {top}. Repair the "
        "files, or raise most_quarantined (docs/hospital/ingest.md explains the reasons)"
    )


def _write_catalog(
    path: Path,
    partitions: Sequence[Partition],
    copies: pl.DataFrame,
    split: Callable[[pl.Series], pl.Series],
    images: int,
    joins: Joins,
    models: Mapping[str, str],
    rare: Mapping[str, Sequence[str]],
) -> None:
    """Write the images sorted by id, one bucket at a time (ids are uniform hashes)."""
    buckets = max(1, images // ROWS_PER_GROUP)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        scratch(path.parent, "catalog") as folder,
        ExitStack() as stack,
    ):
        spilled = [folder / f"{bucket}.arrow" for bucket in range(buckets)]
        streams: list[pa.ipc.RecordBatchStreamWriter] = []
        for partition in partitions:
            rows = joins.apply(partition.number, _images(partition, copies, split)).with_columns(
                pl.col("scanner").replace(models),
                *(
                    pl.when(~pl.col(name).is_in(values)).then(name).alias(name)
                    for name, values in rare.items()
                    if values
                ),
            )
            if not streams:
                schema = rows.head(0).to_arrow().schema
                streams = [
                    stack.enter_context(pa.ipc.new_stream(str(spill), schema)) for spill in spilled
                ]
            bucket = rows["image_id"].str.slice(0, 8).str.to_integer(base=16) * buckets // 2**32
            for number in sorted(set(bucket)):
                streams[number].write_table(rows.filter(bucket == number).to_arrow())
        stack.close()
        with open_table(path, schema) as writer:
            for spill in spilled:
                table = pa.ipc.open_stream(spill.read_bytes()).read_all()
                writer.append(table.sort_by("image_id"))


def _models(
    partitions: Sequence[Partition], copies: pl.DataFrame, smallest_cell: int
) -> dict[str, str]:
    """Models of the devices that enough patients share, by device code.

    A partition without an index contributes none.
    """
    named: dict[str, str] = {}
    shared: list[pl.DataFrame] = []
    for partition in partitions:
        here = copies.filter(pl.col("partition") == partition.number)["row"]
        codes = pl.read_parquet(partition.shard, columns=["patient_id", "scanner"])
        shared.append(
            codes.with_row_index("row")
            .filter(~pl.col("row").is_in(here.implode()))
            .select("patient_id", "scanner")
            .drop_nulls()
            .unique()
        )
        if not partition.index.exists():
            continue
        index = pl.read_parquet(partition.index, columns=["scanner"])
        rows = pl.read_parquet(partition.ledger, columns=["row"])["row"]
        accepted = index.with_columns(row=rows).drop_nulls("row").sort("row")["scanner"]
        named.update(codes.select("scanner", name=accepted).drop_nulls().unique().rows())
    patients = pl.concat(shared).unique().group_by("scanner").len("patients")
    enough = patients.filter(pl.col("patients") >= smallest_cell)["scanner"]
    return {code: named[code] for code in enough if code in named}


def _rare(
    partitions: Sequence[Partition], copies: pl.DataFrame, smallest_cell: int
) -> dict[str, list[str]]:
    """Values of each patient property that too few patients share."""
    if not partitions:
        return {}
    kept = [name for name in DEMOGRAPHICS if name in pq.read_schema(partitions[0].shard).names]
    if not kept:
        return {}
    shared = []
    for partition in partitions:
        here = copies.filter(pl.col("partition") == partition.number)["row"]
        table = pl.read_parquet(partition.shard, columns=["patient_id", *kept])
        table = table.with_row_index("row").filter(~pl.col("row").is_in(here.implode()))
        shared.append(table.drop("row").unique())
    everyone = pl.concat(shared)
    return {
        name: everyone.group_by(name)
        .agg(pl.col("patient_id").n_unique().alias("patients"))
        .filter(pl.col("patients") < smallest_cell)[name]
        .drop_nulls()
        .sort()
        .to_list()
        for name in kept
    }


def _images(
    partition: Partition, copies: pl.DataFrame, split: Callable[[pl.Series], pl.Series]
) -> pl.DataFrame:
    """Rows of a partition for the catalog."""
    columns = [name for name in pq.read_schema(partition.shard).names if name != "image"]
    here = copies.filter(pl.col("partition") == partition.number)["row"]
    rows = (
        pl.read_parquet(partition.shard, columns=columns)
        .with_columns(
            pl.lit(partition.shard.name).alias("shard"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        )
        .filter(~pl.col("row").is_in(here.implode()))
    )
    return rows.with_columns(split(rows["patient_id"]))


def _split(patients: pl.Series, splits: Splits | None, everyone: str) -> pl.Series:
    if splits is None:
        return pl.Series("split", [everyone] * len(patients), pl.String)
    names = {patient: split_of(patient, splits) for patient in patients.unique()}
    return pl.Series("split", [names[patient] for patient in patients], pl.String)
