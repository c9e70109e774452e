"""What is known about a label, and the table that holds it."""

from typing import NamedTuple

import pyarrow as pa

PRESENT, ABSENT, UNCERTAIN, NOT_MENTIONED, MISSING = 1, 0, -1, -2, -3
NAMES = {
    PRESENT: "present",
    ABSENT: "absent",
    UNCERTAIN: "uncertain",
    NOT_MENTIONED: "not_mentioned",
    MISSING: "missing",
}
STATES = {name: state for state, name in NAMES.items()}
RANK = {NOT_MENTIONED: 0, ABSENT: 1, UNCERTAIN: 2, PRESENT: 3}
"""Rank of states: of several claims about a label, the one with the highest rank counts."""

SECTIONS = ("findings", "impression")
"""The sections of a report that are read."""

SCHEMA = pa.schema(
    [
        pa.field("study_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("section", pa.string()),
        pa.field("start", pa.int32()),
        pa.field("end", pa.int32()),
        pa.field("reason", pa.string()),
    ]
)
"""Columns of `labels/<source>/part=K.parquet` (docs/reference/data-contracts.md)."""


class Reading(NamedTuple):
    """What a text says about a label, and where.

    Attributes:
        state: one of `NAMES`.
        start: first character of the words that say it; −1 if there are none.
        end: character after them.
        reason: why the state is missing, one of `MISSING`.
    """

    state: int
    start: int = -1
    end: int = -1
    reason: str = ""


SILENT = Reading(NOT_MENTIONED)
