"""Keys of a table that would match if they were written as in the headers, as text."""

from collections.abc import Sequence

OTHER_KEY = "other_key"
"""State of a row that has a more specific key, which no file has."""


def near_text(
    table: str,
    state: str,
    count: int | str,
    rows: int | str,
    ignored: Sequence[str] = (),
    what: str = "rows",
) -> str:
    """Rows that would be joined if their keys were written as in the headers, and how to do it.

    Counts may be text, where small ones are not shown.
    """
    some, all_ = (number if isinstance(number, str) else f"{number:,}" for number in (count, rows))
    many = f"{some} of {all_} {what} would match"
    if state == OTHER_KEY:
        return (
            f"{many} by accession_number, but have a more specific key that no file has: blank or "
            "remove that column"
        )
    names = [part.partition(":")[0] for part in state.split("+")]
    said = [
        f"if padded with zeros to {part.partition(':')[2]} digits"
        if part.startswith("leading_zeros:")
        else _SAID[part]
        for part in state.split("+")
    ]
    setting = ", ".join([*ignored, *(name for name in names if name not in ignored)])
    return f"{many} {' and '.join(said)} (joins.{table}.ignore: [{setting}])"


_SAID = {
    "apostrophe": "without the apostrophe or the = that a spreadsheet put around them",
    "decimals": "without decimals",
    "case": "if case did not count",
    "punctuation": "without punctuation and blanks",
    "leading_zeros": "without leading zeros",
}
