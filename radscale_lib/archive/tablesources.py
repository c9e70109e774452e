"""Read CSV, Parquet and JSONL as rows of text, strictly: whatever is not clearly a row is refused.

Errors name the file, the column and the number of the row, never a cell.
"""

import codecs
import csv
import gzip
import io
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from radscale_lib.archive.encodings import encoding_of

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_MOST_EXACT = 2**53
"""A larger floating-point integer may have lost digits."""

csv.field_size_limit(sys.maxsize)


class TableError(ValueError):
    """A table that cannot be used; the message names file, column and remedy."""


class Row(NamedTuple):
    """A row, as texts; null where a cell is empty."""

    number: int
    """In the file, from 1; the header of a CSV file is row 1."""
    cells: tuple[str | None, ...]


class Source(Protocol):
    """An open table."""

    names: list[str]
    """Column names, as in the file."""
    header_is_sure: bool
    """Whether `names` are certain not to be a row's cells."""

    def rows(self, places: Sequence[int]) -> Iterator[Row]:
        """The rows, with the cells of some columns; rows without any cell are left out."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn exceptions of reading a file into an error that says what to do."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError):
        what = "not a complete gzip file: it is truncated or damaged: copy it again"
    except OSError as error:
        what = f"cannot be read ({error.strerror}): correct the path"
    except UnicodeError:
        what = "has bytes that do not fit its encoding, as found or as named: save it as UTF-8"
    except pa.ArrowException:
        what = "not readable as Parquet: export it again"
    else:
        return
    raise TableError(f"{path}: {what}")


class CsvSource:
    """A CSV file: separated by comma, semicolon or tab, quoted as in RFC 4180."""

    header_is_sure = False

    def __init__(
        self,
        path: Path,
        fit: Callable[[Sequence[str]], int],
        separator: str | None,
        encoding: str | None,
        remedy: str,
        most: int | None = None,
    ) -> None:
        """Find encoding, separator and header.

        Args:
            path: the file, plain or `.gz`.
            fit: how many of a header's names are known; the separator that gives most is taken.
            separator: a key of `SEPARATORS`; null to find it.
            encoding: null to find it.
            remedy: the study-file key for the encoding, for messages.
            most: bytes read to detect the encoding; null reads all.

        Raises:
            TableError: if the encoding cannot be detected, or the file is empty.
        """
        self._path = path
        self._encoding = _encoding(path, encoding, remedy, most)
        with _text(path, self._encoding) as file:
            first = file.readline()
        self._skipped = int(first.lower().startswith("sep=") and len(first.rstrip()) == 5)
        if separator:
            self._separator = SEPARATORS[separator]
        elif self._skipped:  # Excel's own line
            self._separator = first[4]
        else:
            headers = {sign: self._header(sign) for sign in SEPARATORS.values()}
            self._separator = max(
                headers, key=lambda sign: (fit(headers[sign]), len(headers[sign]))
            )
        self.names = self._header(self._separator)
        if not any(self.names):
            raise TableError(f"{path}: no header in its first row: give the columns names")

    def _header(self, separator: str) -> list[str]:
        try:
            with _text(self._path, self._encoding) as file:
                for _ in range(self._skipped):
                    file.readline()
                cells = next(csv.reader(file, delimiter=separator, strict=True), [])
        except csv.Error:
            return []
        return [" ".join(cell.replace("\ufeff", "").strip("\0").split()) for cell in cells]

    def rows(self, places: Sequence[int]) -> Iterator[Row]:
        """The rows, with the cells of some columns; rows without any cell are left out.

        Raises:
            TableError: at a row that is not as long as the header, or a stray quotation mark.
        """
        width = len(self.names)
        named = width if self.names[-1] else width - 1  # after a separator at the line's end
        with _text(self._path, self._encoding) as file:
            for _ in range(self._skipped):
                file.readline()
            reader = csv.reader(file, delimiter=self._separator, strict=True)
            number, next_line = 0, 1 + self._skipped
            while True:
                line = next_line
                try:
                    cells = next(reader, None)
                except csv.Error:
                    raise self._wrong(
                        line,
                        "has a quotation mark too many or too few: put texts in quotation marks, "
                        "and double those within",
                    ) from None
                if cells is None:
                    return
                number, next_line = number + 1, reader.line_num + 1 + self._skipped
                if number == 1 or not any(cells):
                    continue
                if len(cells) < named or any(cells[named:]):
                    raise self._wrong(
                        line,
                        f"has {len(cells)} cells and the header {named}: put texts that hold the "
                        "separator in quotation marks, and give every row all cells",
                    )
                chosen = [cells[place] for place in places]
                if any("\0" in cell for cell in chosen):
                    chosen = [cell.rstrip("\0") for cell in chosen]
                    if any("\0" in cell for cell in chosen):
                        raise self._wrong(line, "holds NUL bytes: export the table again")
                yield Row(number, tuple(cell or None for cell in chosen))

    def _wrong(self, line: int, what: str) -> TableError:
        return TableError(f"{self._path}: the row that starts on line {line} {what}")


class ParquetSource:
    """A Parquet file."""

    header_is_sure = True

    def __init__(self, path: Path) -> None:
        """Read the schema."""
        self._path = path
        self._stored = pq.read_schema(path).names
        self.names = [name.strip() for name in self._stored]

    def rows(self, places: Sequence[int]) -> Iterator[Row]:
        """The rows, with the cells of some columns; rows without any cell are left out.

        Raises:
            TableError: at a value that has no unambiguous text.
        """
        number = 0
        stored = [self._stored[place] for place in places]
        names = [self.names[place] for place in places]
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=16_384, columns=stored):
                columns = [batch.column(name).to_pylist() for name in stored]
                for values in zip(*columns, strict=True):
                    number += 1
                    if any(value is not None for value in values):
                        yield Row(number, _texts(self._path, number, names, values))


class JsonlSource:
    """A file with a JSON object on each line."""

    header_is_sure = True

    def __init__(
        self, path: Path, encoding: str | None, remedy: str, most: int | None = None
    ) -> None:
        """Collect the column names from the whole file, or from its first `most` bytes.

        Raises:
            TableError: at a line that is not an object.
        """
        self._path = path
        self._encoding = _encoding(path, encoding, remedy, most)
        names: dict[str, None] = {}
        read = 0
        for _, values in self._objects():
            names.update(dict.fromkeys(values))
            read += sum(len(str(value)) for value in values.values()) if most else 0
            if most and read > most:
                break
        self.names = [*names]

    def rows(self, places: Sequence[int]) -> Iterator[Row]:
        """The rows, with the cells of some columns; rows without any cell are left out.

        Raises:
            TableError: at a value that is a list or an object.
        """
        names = [self.names[place] for place in places]
        for number, values in self._objects():
            found = [values.get(name) for name in names]
            if any(value is not None for value in found):
                yield Row(number, _texts(self._path, number, names, found))

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with _text(self._path, self._encoding) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    values = json.loads(line, object_pairs_hook=_once, parse_float=_exact)
                except (RecursionError, ValueError):
                    values = None
                if not isinstance(values, dict):
                    raise TableError(
                        f"{self._path}: line {number} is not a JSON object with each key once: "
                        "write "
                        "one object a line"
                    )
                if "\\ud" in line.lower() and _has_half_character(values):
                    raise TableError(
                        f"{self._path}: line {number} has half of a character (\\ud... without its "
                        "other half): export the table again"
                    )
                yield number, values


def _has_half_character(values: dict[str, Any]) -> bool:
    """Whether a text has a lone surrogate, which no encoding can write."""
    texts = [*values, *(value for value in values.values() if isinstance(value, str))]
    return any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)


def _exact(number: str) -> float | str:
    """A JSON number as text; scientific notation is kept as written, since digits may be lost."""
    return number if "e" in number.lower() else float(number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key appears twice")
    return values


def _encoding(path: Path, given: str | None, remedy: str, most: int | None) -> str:
    encoding = given or encoding_of(lambda: _bytes(path), most)
    if encoding is None:
        raise TableError(
            f"{path}: encoding: neither UTF-8 nor UTF-16, nor surely Windows-1252: save it as "
            f"UTF-8, or name its encoding ({remedy})"
        )
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise TableError(
            f"{path}: encoding: the name given ({remedy}) is not known: write one as utf-8, cp1252 "
            "or gb18030"
        ) from None
    # accepts files with and without a byte order mark
    return "utf-8-sig" if encoding.lower().replace("-", "") == "utf8" else encoding


def _bytes(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_bytes(path), encoding=encoding, newline="")


def _texts(
    path: Path, number: int, names: Sequence[str], values: Sequence[Any]
) -> tuple[str | None, ...]:
    texts = []
    for name, value in zip(names, values, strict=True):
        text, wrong = (value or None, None) if isinstance(value, str) else _as_text(value)
        if wrong:
            raise TableError(
                f"{path}: {name}: row {number} holds {wrong}: write the column as text"
            )
        texts.append(text)
    return tuple(texts)


def _as_text(value: Any) -> tuple[str | None, str | None]:
    """A Parquet or JSON value as text, or why it has no unambiguous text."""
    match value:
        case None:
            return None, None
        case bool() | int():
            return str(int(value)), None
        case float() if math.isnan(value):
            return None, None
        case float() if value.is_integer():
            if abs(value) >= _MOST_EXACT:
                return None, "a number in floating point that is too large to have all its digits"
            return str(int(value)), None
        case float() | Decimal():
            return str(value), None
        case date() | datetime():
            return None, "a date"
        case bytes():
            return None, "bytes"
    return None, "a list or a structure"
