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
"""What became of a file and each table (`join.Match`); null if no row is near it."""
PARTITION_SCHEMA = pa.schema([*LEDGER_SCHEMA, pa.field("patient", pa.string()), *JOIN_FIELDS])
"""Of a partition's ledger: the patient is given, by pseudonym, where a row of a table is."""
TABLES_KEY = b"radscale.tables"
"""Metadata of a partition's ledger: what is known about each table as a whole, as JSON."""


@dataclass
class Account:
    """What is known about a file, and what became of it."""

    entry: Entry
    facts: Facts = field(default_factory=Facts)
    outcome: Outcome | None = None
    stage: Stage | None = None
    """What refused it; null once it is accepted."""
    reason: str | None = None
    detail: str | None = None
    row: int | None = None
    identity: Identity | None = None
    """What joins it to the tables; null if its header cannot be read."""
    matches: dict[str, Match] = field(default_factory=dict)
    """By table."""


def path_digest(key: bytes, path: str) -> str:
    """HMAC-SHA256 of a relative path, first 32 hex digits: names a file to who holds the key."""
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
    """Write the outcome of every file, what became of it and the `tables`, and of the `texts`."""
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
    """The patient's pseudonym, of a file that a row of a table is near to."""
    if not account.matches or account.identity is None or not account.identity.patient_id:
        return None
    return pseudonym(key, "patient", account.identity.patient_id)
