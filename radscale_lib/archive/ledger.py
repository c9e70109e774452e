"""The index and the ledger of a partition: a row for every file of its listing."""

import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from radscale_lib.archive.listing import Entry
from radscale_lib.archive.outcomes import Outcome, Stage
from radscale_lib.archive.selection import Facts
from radscale_lib.shards.parquet import write_table

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


@dataclass
class Account:
    """What is known of a file, and what became of it."""

    entry: Entry
    facts: Facts = field(default_factory=Facts)
    outcome: Outcome | None = None
    stage: Stage | None = None
    """What refused it; null once it is accepted."""
    reason: str | None = None
    detail: str | None = None
    row: int | None = None


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


def write_ledger(path: Path, accounts: Iterable[Account], shard: str, key: bytes) -> None:
    """Write the outcome of every file."""
    rows = [
        {
            "path_digest": path_digest(key, account.entry.path),
            "outcome": account.outcome,
            "stage": account.stage,
            "reason": account.reason,
            "detail": account.detail,
            "shard": None if account.row is None else shard,
            "row": account.row,
        }
        for account in accounts
    ]
    write_table(path, pa.Table.from_pylist(rows, LEDGER_SCHEMA))
