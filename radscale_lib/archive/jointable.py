"""A table prepared for joining: read once, checked as a whole, each row with its key.

It is a Parquet file with a row for each row of the table: the columns that the study reads, the
row's number, and its key. Keys and texts are as in the table.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.archive.joinkeys import (
    ALL_DIFFERENCES,
    KEYS,
    is_error,
    is_placeholder,
    is_rounded,
    plain,
    without,
)
from radscale_lib.archive.masks import MASK_COLUMN
from radscale_lib.archive.sections import Texts
from radscale_lib.archive.tablefile import Form, Row, TableError, TableFile
from radscale_lib.files import atomic_write
from radscale_lib.study.archive import Archive, Difference, Labels

_STUDY_KEYS = KEYS[1:]
_METADATA = b"radscale.table"
_BATCH = 50_000

_KEY_FIELDS = [
    pa.field("@row", pa.int64(), nullable=False),
    pa.field("@kind", pa.int8()),
    pa.field("@key", pa.string()),
    pa.field("@accession", pa.string()),
    pa.field("@loose", pa.string()),
    pa.field("@content", pa.binary(8), nullable=False),
]
"""Number of the row; which of `KEYS` is its key, and the key; the accession number, as written and
with all differences removed; a digest of the other columns."""


@dataclass(frozen=True)
class TableFacts:
    """What is known about a whole table."""

    keys: list[str]
    """The table's key columns."""
    columns: list[str]
    """Its other columns that the study reads."""
    ignore: list[Difference]
    rows: int = 0
    without_key: int = 0
    """Rows whose key columns are blank."""
    placeholders: int = 0
    """Rows that have a placeholder for a key, such as 0 or N/A."""


def form_of(archive: Archive, name: str) -> Form:
    """The form of a table, as the study file states it."""
    join = getattr(archive.joins, name)
    place = f"joins.{name}"
    keys = {key: f"{place}.{key}" for key in ("columns", "encoding")}
    return Form(join.columns, join.separator, join.encoding, keys=keys)


def write_join_table(
    name: str,
    path: Path,
    labels: Labels,
    out: Path,
    form: Form | None = None,
    ignore: Sequence[Difference] = (),
    most_rows: int | None = None,
) -> TableFacts:
    """Read a table and write it prepared for joining.

    Args:
        name: `reports`, `labels` or `tubes`.
        path: the table.
        labels: label names of the study.
        out: the Parquet file to write.
        form: how the table is written, as far as known.
        ignore: differences of accession numbers to ignore.
        most_rows: read at most this many; null reads all.

    Raises:
        TableError: if it cannot be read, lacks a column, has a key whose digits are lost, a value
            that is not a label, or rows of one key that contradict each other.
    """
    open_columns = _KINDS[name]
    table, columns, types, convert = open_columns(path, labels, form)
    keys = table.choose(_STUDY_KEYS if name == "reports" else KEYS[: 1 if name == "tubes" else 3])
    facts = TableFacts(keys, columns, list(ignore))
    schema = pa.schema([*_KEY_FIELDS, *map(pa.field, columns, types)])
    reader = _Reader(path, facts, convert)
    with (
        atomic_write(out) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        rows = islice(reader.rows(table), most_rows)
        while batch := list(islice(rows, _BATCH)):
            arrays = [
                pa.array(c, f.type) for c, f in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
        facts = reader.facts
        writer.add_key_value_metadata({_METADATA: json.dumps(asdict(facts))})
    if name != "tubes":
        _check_contradictions(path, out)
    return facts


def table_facts(path: Path) -> TableFacts | None:
    """The facts of a table that is prepared for joining; null for any other file."""
    if path.suffix != ".parquet":
        return None
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    return TableFacts(**json.loads(metadata[_METADATA])) if _METADATA in metadata else None


class _Reader:
    """Rows of a table with their keys, counted."""

    def __init__(
        self,
        path: Path,
        facts: TableFacts,
        convert: Callable[[Row, Sequence[str | None]], list[Any]],
    ) -> None:
        self._path, self._facts, self._convert = path, facts, convert
        self._rows = self._without_key = self._placeholders = 0

    @property
    def facts(self) -> TableFacts:
        counts = {
            "rows": self._rows,
            "without_key": self._without_key,
            "placeholders": self._placeholders,
        }
        return TableFacts(**asdict(self._facts) | counts)

    def rows(self, table: TableFile) -> Iterator[list[Any]]:
        names = self._facts.keys
        kinds = [KEYS.index(name) for name in names]
        ignored = self._facts.ignore
        for row in table.rows([*names, *self._facts.columns]):
            self._rows += 1
            kind = key = accession = loose = None
            placeholder = False
            for number, name, cell in zip(kinds, names, row.cells, strict=False):
                text = plain(cell)
                if text and is_placeholder(text):
                    placeholder, text = True, ""
                if not text:
                    continue
                if is_rounded(text):
                    raise TableError(
                        f"{self._path}: {name}: row {row.number} holds a number in scientific "
                        "notation, as spreadsheets write it: digits are lost: export the column "
                        "as text"
                    )
                if number == 2:
                    accession, loose = text, without(text, ALL_DIFFERENCES) or None
                    text = without(text, ignored)
                if kind is None and text:
                    kind, key = number, text
            if kind is None:
                self._placeholders += placeholder
                self._without_key += not placeholder
            values = self._convert(row, row.cells[len(names) :])
            content = hashlib.blake2b(repr(values).encode(), digest_size=8).digest()
            yield [row.number, kind, key, accession, loose, content, *values]


def _check_contradictions(path: Path, written: Path) -> None:
    """Refuse rows that have the same key and differ."""
    rows = pl.scan_parquet(written).filter(pl.col("@kind").is_not_null())
    first = (
        rows.group_by("@kind", "@key")
        .agg(pl.len().alias("rows"), pl.col("@content").n_unique().alias("contents"))
        .filter(pl.col("contents") > 1)
        .select("@kind", "@key")
    )
    keys = first.collect()
    if keys.is_empty():
        return
    twice = (
        rows.join(keys.lazy(), on=["@kind", "@key"], how="semi")
        .select("@row", "@kind", "@key", "@content")
        .sort("@row")
        .collect()
    )
    one = twice.row(0, named=True)
    other = twice.filter(
        (pl.col("@kind") == one["@kind"])
        & (pl.col("@key") == one["@key"])
        & (pl.col("@content") != one["@content"])
    ).row(0, named=True)
    more = f" ({keys.height:,} keys in all)" if keys.height > 1 else ""
    raise TableError(
        f"{path}: {KEYS[one['@kind']]}: rows {one['@row']} and {other['@row']} have the same key "
        f"and differ: keep one of them{more}"
    )


_Opened = tuple[
    TableFile,
    list[str],
    list[pa.DataType],
    Callable[[Row, Sequence[str | None]], list[Any]],
]


def _open_reports(path: Path, labels: Labels, form: Form | None) -> _Opened:
    table = TableFile(path, [*_STUDY_KEYS, "report", *Texts._fields], form)
    table.choose(_STUDY_KEYS)
    columns = ["report"] if "report" in table.columns else []
    columns = columns or [name for name in Texts._fields if name in table.columns]
    if not {"report", "findings", "impression"} & set(columns):
        raise table.lacking(
            ["findings", "impression", "report"],
            "no column 'findings', 'impression' or 'report': name the text's column so",
        )

    def convert(row: Row, cells: Sequence[str | None]) -> list[str | None]:
        return [None if cell and is_error(cell) else cell for cell in cells]

    return table, columns, [pa.string()] * len(columns), convert


def _open_labels(path: Path, labels: Labels, form: Form | None) -> _Opened:
    names = list(labels.columns)
    table = TableFile(path, [*KEYS, *names], form)
    table.choose(KEYS)
    for name in names:
        if name not in table.columns:
            raise table.lacking(
                [name],
                f"no column {name!r}: add it, or remove {name!r} from the study's labels",
            )

    def convert(row: Row, cells: Sequence[str | None]) -> list[int | None]:
        return [
            _label(path, name, row.number, cell) for name, cell in zip(names, cells, strict=True)
        ]

    return table, names, [pa.int8()] * len(names), convert


def _open_tubes(path: Path, labels: Labels, form: Form | None) -> _Opened:
    table = TableFile(path, [KEYS[0], "label", "data", MASK_COLUMN], form)
    table.choose(KEYS[:1])
    table.require("label")
    drawn = [name for name in ("data", MASK_COLUMN) if name in table.columns]
    if not drawn:
        table.require("data")
    columns = ["label", *drawn]
    return table, columns, [pa.string()] * len(columns), lambda _, cells: list(cells)


_KINDS: dict[str, Callable[[Path, Labels, Form | None], _Opened]] = {
    "reports": _open_reports,
    "labels": _open_labels,
    "tubes": _open_tubes,
}


def _label(path: Path, name: str, number: int, cell: str | None) -> int | None:
    """A label's value: 1, 0, −1 (uncertain) or null (blank)."""
    if cell == "1" or cell == "0":
        return int(cell)
    text = (cell or "").strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isnan(value):
        return None
    if value not in (0, 1, -1):
        raise TableError(
            f"{path}: {name}: row {number} is not 1, 0, -1 (uncertain) or blank: correct it"
        )
    return int(value)
