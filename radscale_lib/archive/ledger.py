"""The index and the ledger of a partition: a row for every file of its listing."""

import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from radscale_lib.archive.join import Match
from radscale_lib.archive.joinkeys import Identity
from radscale_lib.archive.jointable import TableFacts
from radscale_lib.archive.listing import Entry
from radscale_lib.archive.outcomes import Outcome, Stage
from radscale_lib.archive.selection import Facts
from radscale_lib.archive.texts import TextCounts, texts_metadata
from radscale_lib.pseudonyms import pseudonym
from radscale_lib.shards.parquet import write_table
from radscale_lib.study.archive import TABLES

INDEX_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modality", pa.string()),
        pa.field("view", pa.string()),
        pa.field("rows", pa.int32()),
        pa.field("columns", pa.int32()),
        pa.field("photometric", pa.string()),
        pa.field("bits_stored", pa.int32()),
        pa.field("transfer_syntax", pa.string()),
        pa.field("scanner", pa.string()),
        pa.field("defect", pa.string()),
    ]
)
LEDGER_SCHEMA = pa.schema(
    [
        pa.field("path_digest", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("shard", pa.string()),
        pa.field("row", pa.int64()),
    ]
)


JOIN_FIELDS = [
    field
    for table in TABLES
    for field in (
        pa.field(f"{table}_row", pa.int64()),
        pa.field(f"{table}_rows", pa.int32()),
        pa.field(f"{table}_match", pa.string()),
    )
]
"""How a file was matched to each table (`join.Match`); null if no row is close to it."""
PARTITION_SCHEMA = pa.schema([*LEDGER_SCHEMA, pa.field("patient", pa.string()), *JOIN_FIELDS])
"""Columns of a partition's ledger; the patient's pseudonym is given where a table has a row."""
TABLES_KEY = b"radscale.tables"
"""Metadata key of a partition's ledger: the facts of each table, as JSON."""


@dataclass
class Account:
    """What is known about a file, and its outcome."""

    entry: Entry
    facts: Facts = field(default_factory=Facts)
    outcome: Outcome | None = None
    stage: Stage | None = None
    """Why it was refused; null once it is accepted."""
    reason: str | None = None
    detail: str | None = None
    row: int | None = None
    identity: Identity | None = None
    """Its keys for the tables; null if its header cannot be read."""
    matches: dict[str, Match] = field(default_factory=dict)
    """By table."""


def path_digest(key: bytes, path: str) -> str:
    """HMAC-SHA256 of a relative path (first 32 hex digits), which only the key can resolve."""
    message = b"path\0" + os.fsencode(path)
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


def write_index(path: Path, accounts: Iterable[Account]) -> None:
    """Write the facts of every file."""
    rows = [
        {
            "path": os.fsencode(account.entry.path).decode(errors="backslashreplace"),
            "size": account.entry.size,
            **vars(account.facts),
            "defect": account.reason if account.outcome == "quarantined" else None,
        }
        for account in accounts
    ]
    write_table(path, pa.Table.from_pylist(rows, INDEX_SCHEMA))


def write_ledger(
    path: Path,
    accounts: Iterable[Account],
    shard: str,
    key: bytes,
    tables: Mapping[str, TableFacts] | None = None,
    texts: TextCounts | None = None,
) -> None:
    """Write the outcome of every file, its matches in the `tables`, and the counts of `texts`."""
    rows = [
        {
            "path_digest": path_digest(key, account.entry.path),
            "outcome": account.outcome,
            "stage": account.stage,
            "reason": account.reason,
            "detail": account.detail,
            "shard": None if account.row is None else shard,
            "row": account.row,
            "patient": _patient(account, key),
            **{
                f"{table}_{name}": value
                for table, match in account.matches.items()
                for name, value in (
                    ("row", match.row), ("rows", match.rows), ("match", match.state)
                )
            },
        }
        for account in accounts
    ]  # fmt: skip
    facts = {name: asdict(table) for name, table in (tables or {}).items()}
    metadata = {TABLES_KEY: json.dumps(facts), **texts_metadata(texts or Counter())}
    schema = PARTITION_SCHEMA.with_metadata(metadata)
    write_table(path, pa.Table.from_pylist(rows, schema))


def _patient(account: Account, key: bytes) -> str | None:
    """The patient's pseudonym, for a file that is close to a table's row."""
    if not account.matches or account.identity is None or not account.identity.patient_id:
        return None
    return pseudonym(key, "patient", account.identity.patient_id)
