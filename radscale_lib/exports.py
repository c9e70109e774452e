"""Tables as files for people: CSV for spreadsheets, Markdown, LaTeX."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from radscale_lib.texts import one_line

FORMULA = r"^\s*[=+\-@\t\r\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""First characters of a cell that a spreadsheet takes for a formula; full-width = + - @ last."""


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV; text that a spreadsheet would take for a formula gets a leading '.

    Numbers stay as they are, even in text columns. Control characters become spaces.
    """
    texts = pl.col(pl.String).str.replace_all(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ")
    formula = texts.str.contains(FORMULA) & texts.cast(pl.Float64, strict=False).is_null()
    safe = table.with_columns(pl.when(formula).then("'" + texts).otherwise(texts).name.keep())
    safe.write_csv(path)


def write_markdown(table: pl.DataFrame, path: Path) -> None:
    """Write a table of texts and numbers as a Markdown table."""
    lines = [_piped(table.columns), _piped(["---"] * table.width)]
    lines += [_piped(map(_text, row)) for row in table.iter_rows()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_latex(table: pl.DataFrame, path: Path) -> None:
    """Write a table of texts and numbers as a LaTeX `tabular` for the package booktabs."""
    head = " & ".join(map(_latex, table.columns))
    lines = [rf"\begin{{tabular}}{{{'l' * table.width}}}", r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [rf"{' & '.join(_latex(_text(cell)) for cell in row)} \\" for row in table.iter_rows()]
    lines += [r"\bottomrule", r"\end{tabular}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(cell: object) -> str:
    return "–" if cell is None else one_line(str(cell))


def _piped(cells: Iterable[str]) -> str:
    return (
        "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", r"\|") for cell in cells) + " |"
    )


_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"–": "--", "−": "$-$", "×": r"$\times$", "≥": r"$\ge$", "’": "'", "<": "$<$", ">": "$>$"}
)
"""LaTeX for each special character."""


def _latex(text: str) -> str:
    return text.translate(_LATEX)
