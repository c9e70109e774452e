"""A CSV, Parquet or JSONL file of which some rows are read.

Errors name the file, the column and the number of the row, never a value.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from radscale_lib.archive.instance import Instance

LINE = "__line__"
"""Key of a row's number in its file."""


class TableError(ValueError):
    """A table that cannot be used; the message names file, column and remedy."""


class TableFile:
    """A CSV, Parquet or JSONL file that is read by key."""

    def __init__(self, path: Path) -> None:
        """Read the names of the columns.

        Raises:
            TableError: if the file cannot be read.
        """
        self.path = path
        try:
            match path.suffix.lower():
                case ".csv":
                    self._scan = pl.scan_csv(path, infer_schema=False)
                case ".parquet":
                    self._scan = pl.scan_parquet(path)
                case ".jsonl" | ".ndjson":
                    self._scan = pl.scan_ndjson(path)
                case _:
                    raise TableError(f"{path}: unknown kind: give .csv, .parquet or .jsonl")
            self.columns = self._scan.collect_schema().names()
        except OSError as error:
            raise TableError(
                f"{path}: cannot be read ({error.strerror}): correct the path"
            ) from None
        except pl.exceptions.PolarsError:
            raise self._unreadable() from None

    def _collect(self, selected: pl.LazyFrame) -> list[dict[str, Any]]:
        try:
            return selected.collect().to_dicts()
        except pl.exceptions.PolarsError:
            raise self._unreadable() from None

    def _unreadable(self) -> TableError:
        return TableError(f"{self.path}: no readable {self.path.suffix[1:]} in UTF-8: repair it")

    def choose(self, keys: Sequence[str]) -> str:
        """The first of some key columns that the table has."""
        for key in keys:
            if key in self.columns:
                return key
        raise TableError(
            f"{self.path}: no key column: add {' or '.join(repr(key) for key in keys)} "
            f"(found {shown(self.columns)})"
        )

    def require(self, *names: str) -> None:
        """Refuse a table that lacks a column."""
        for name in names:
            if name not in self.columns:
                raise TableError(
                    f"{self.path}: no column {name!r}: add it (found {shown(self.columns)})"
                )

    def texts(self, column: str) -> list[str]:
        """The different texts of a column, sorted; blank ones are left out."""
        texts = self._scan.select(pl.col(column).cast(pl.String).str.strip_chars())
        found = self._collect(texts.filter(pl.col(column) != "").unique())
        return sorted(row[column] for row in found)

    def rows(
        self, key: str, columns: Sequence[str], instances: "Iterable[Instance]"
    ) -> list[dict[str, Any]]:
        """Rows of some instances, as text, in the table's order, with their line number."""
        wanted = {getattr(instance, key) for instance in instances} - {""}
        selected = (
            self._scan.with_row_index(LINE, offset=2 if self.path.suffix == ".csv" else 1)
            .select(LINE, pl.col(key, *columns).cast(pl.String))
            .with_columns(pl.col(key).str.strip_chars())
            .filter(pl.col(key).is_in(sorted(wanted)))
        )
        return self._collect(selected)

    def one_row_each(
        self, key: str, columns: Sequence[str], instances: "Iterable[Instance]"
    ) -> list[dict[str, Any]]:
        """Rows of some instances; repeated keys must say the same."""
        first: dict[str, dict[str, Any]] = {}
        for row in self.rows(key, columns, instances):
            known = first.setdefault(row[key], row)
            if any(known[column] != row[column] for column in columns):
                raise TableError(
                    f"{self.path}: {key}: rows {known[LINE]} and {row[LINE]} have the same key "
                    "and differ: keep one of them"
                )
        return list(first.values())


def shown(columns: Sequence[str]) -> str:
    """Columns in a message."""
    return ", ".join(columns)
