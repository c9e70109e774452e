"""Read a table of any kind by the names of its columns.

Without a header, the first row of a CSV file may be a patient's. A message therefore shows its
cells only if at least one of them is an expected name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from radscale_lib.archive.tablesources import (
    CsvSource,
    JsonlSource,
    ParquetSource,
    Row,
    Source,
    TableError,
    reading,
)

__all__ = ["Form", "Row", "TableError", "TableFile"]


@dataclass(frozen=True)
class Form:
    """What is known about how a table is written; everything else is detected."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Expected name -> the table's name, where they differ."""
    separator: str | None = None
    """`comma`, `semicolon` or `tab`."""
    encoding: str | None = None
    most: int | None = None
    """Bytes read to detect what is not known; null reads all."""
    keys: Mapping[str, str] = field(default_factory=lambda: {"encoding": "--encoding"})
    """The study-file keys for `columns` and `encoding`, for messages."""


class TableFile:
    """A table: the names of its columns, and its rows."""

    def __init__(self, path: Path, asked: Sequence[str], form: Form | None = None) -> None:
        """Read the names of the columns.

        Args:
            path: `.csv`, `.tsv` or `.txt` (plain or `.gz`), `.parquet`, `.jsonl` or `.ndjson`.
            asked: expected column names, by which the separator is detected.
            form: how the table is written, as far as known.

        Raises:
            TableError: if the file cannot be read, or a column appears twice.
        """
        self.path, self._form = path, form or Form()
        self._asked = {_loose(self._theirs(name)) for name in asked}
        with reading(path):
            self._source = self._open()
        names = self._source.names
        self._check_repeated(names)
        for name, theirs in self._form.columns.items():
            if theirs not in names:
                raise TableError(
                    f"{path}: no column {theirs!r}, which {self._form.keys['columns']} gives for "
                    f"{name!r}: correct it ({self._shown()})"
                )
        ours = {theirs: name for name, theirs in self._form.columns.items()}
        self.columns = [ours.get(name, name) for name in names]
        """Names of the columns, as the project calls them; empty for a column without a name."""

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """The rows, with the cells of the given columns in that order; blank rows are left out.

        Raises:
            TableError: at a row or a cell whose meaning is not certain.
        """
        places = [self.columns.index(name) for name in columns]
        with reading(self.path):
            yield from self._source.rows(places)

    def choose(self, keys: Sequence[str]) -> list[str]:
        """The key columns that the table has, in the order of `keys`."""
        found = [key for key in keys if key in self.columns]
        if not found:
            names = " or ".join(repr(key) for key in keys)
            raise self.lacking(keys, f"no key column: add {names}")
        return found

    def require(self, *names: str) -> None:
        """Refuse a table that lacks a column."""
        for name in names:
            if name not in self.columns:
                raise self.lacking([name], f"no column {name!r}: add it")

    def lacking(self, names: Sequence[str], message: str) -> TableError:
        """The error for missing columns, which points out a column with a similar name."""
        wanted = {_loose(self._theirs(name)): name for name in names}
        for theirs in self._source.names:
            if name := wanted.get(_loose(theirs)):
                remedy = "rename it"
                if "columns" in self._form.keys:
                    remedy += f", or set {self._form.keys['columns']}: {{{name}: {theirs!r}}}"
                message = f"no column {name!r}, but {theirs!r}: {remedy}"
        return TableError(f"{self.path}: {message} ({self._shown()})")

    def texts(self, column: str) -> list[str]:
        """The distinct texts of a column, sorted; blank ones are left out."""
        found = {(row.cells[0] or "").strip() for row in self.rows([column])}
        return sorted(found - {""})

    def _open(self) -> Source:
        if self.path.exists() and not self.path.is_file():
            raise TableError(f"{self.path}: no file: correct the path")
        name, form = self.path.name.lower().removesuffix(".gz"), self._form
        match Path(name).suffix:
            case ".csv" | ".tsv" | ".txt":
                return CsvSource(
                    self.path,
                    self._known,
                    form.separator,
                    form.encoding,
                    form.keys["encoding"],
                    form.most,
                )
            case ".parquet":
                return ParquetSource(self.path)
            case ".jsonl" | ".ndjson":
                return JsonlSource(self.path, form.encoding, form.keys["encoding"], form.most)
        raise TableError(f"{self.path}: unknown kind: give .csv, .parquet or .jsonl")

    def _theirs(self, name: str) -> str:
        return self._form.columns.get(name, name)

    def _known(self, names: Sequence[str]) -> int:
        """How many of the names are expected ones, ignoring case."""
        return len(self._asked & set(map(_loose, names)))

    def _shown(self) -> str:
        names = self._source.names
        if self._has_header(names):
            return f"found {', '.join(filter(None, names))}"
        if len(names) == 1:
            return (
                "the first row is one cell, which is none of the expected names: it must be the "
                "header, separated by comma, semicolon or tab"
            )
        return (
            f"the first row, of {len(names)} cells, has none of the expected names: it must be the "
            "header"
        )

    def _has_header(self, names: Sequence[str]) -> bool:
        return self._source.header_is_sure or self._known(names) > 0

    def _check_repeated(self, names: Sequence[str]) -> None:
        if not self._has_header(names):
            return  # the missing columns will be reported
        seen: dict[str, str] = {}
        for place, name in enumerate(names, 1):
            if not name:
                continue
            other = seen.setdefault(_loose(name), name)
            if names.count(name) > 1 or (other != name and _loose(name) in self._asked):
                shown = repr(name) if _loose(name) in self._asked else place
                raise TableError(
                    f"{self.path}: column {shown} appears twice (case, blanks and punctuation do "
                    "not count): remove or rename one"
                )


def _loose(name: str) -> str:
    """A column's name without case, blanks and punctuation."""
    return "".join(filter(str.isalnum, name)).casefold() or name
