"""Tables as CSV, for people and their spreadsheets."""

from pathlib import Path

import polars as pl

FORMULA = r"^\s*[=+\-@\t\r\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""How a cell begins that a spreadsheet would compute; last the wide forms of = + - @."""


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV whose texts no spreadsheet takes for formulas: they get a leading '.

    Numbers stay as they are, also those in columns of texts. Control characters become spaces.
    """
    texts = pl.col(pl.String).str.replace_all(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ")
    formula = texts.str.contains(FORMULA) & texts.cast(pl.Float64, strict=False).is_null()
    safe = table.with_columns(pl.when(formula).then("'" + texts).otherwise(texts).name.keep())
    safe.write_csv(path)
