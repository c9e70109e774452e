"""Measure the audit of joins, and the reading of a table, on one core.

    python benchmarks/joins.py audit --rows 3500000      # of three tables, in 350 partitions
    python benchmarks/joins.py table --rows 500000       # a CSV file of reports, against csv alone

Prints processor time and peak memory of the process.
"""

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import argparse
import csv
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from radscale_lib.archive.join import Match
from radscale_lib.archive.joinkeys import Identity
from radscale_lib.archive.joins import Joins
from radscale_lib.archive.jointable import TableFacts, write_join_table
from radscale_lib.archive.ledger import Account, write_ledger
from radscale_lib.archive.listing import Entry
from radscale_lib.pseudonyms import pseudonym
from radscale_lib.study.archive import TABLES, Labels

KEY = b"benchmark, nobody"
SHARED, NEAR, WITHOUT = 100, 50, 25
"""One row in this many is shared across partitions, nearly matches, or has no file."""


def audit(rows: int, partitions: int) -> None:
    """Write ledgers and the catalog's rows of synthetic files, and audit their joins."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = {
            table: TableFacts(["accession_number"], ["findings"], [], rows) for table in TABLES
        }
        ledgers, images = {}, {}
        for number in range(partitions):
            files = range(number, rows, partitions)
            ledgers[number] = folder / "ledger" / f"part={number}.parquet"
            accounts = [_account(place, file) for place, file in enumerate(files)]
            write_ledger(ledgers[number], accounts, f"part={number}.parquet", KEY, facts)
            images[number] = folder / f"images={number}.parquet"
            _images(files).write_parquet(images[number])
        ready, before = time.process_time(), _peak()
        joins = Joins(ledgers)
        problems = list(joins.check(dict.fromkeys(TABLES, 0.05)))
        for number, path in images.items():
            joins.apply(number, pl.read_parquet(path))
        table = joins.table()
        took = time.process_time() - ready
    shared, near = table["rows_shared"].sum(), table["near"].list.len().sum()
    print(
        f"{rows:,} rows of each of {len(TABLES)} tables: {took:.1f} s, {_peak():.2f} GiB (before "
        f"the audit {before:.2f}); {shared:,} shared, {near} kinds of near matches, "
        f"{len(problems)} problems"
    )


def _account(place: int, file: int) -> Account:
    account = Account(Entry(f"{file}.dcm", 8_000_000, file), outcome="accepted", row=place)
    account.identity = Identity(f"patient {file}")
    if file % WITHOUT:
        row = file - 1 if file % SHARED == 7 else file
        state = "leading_zeros:8" if file % NEAR == 3 else "joined"
        account.matches = dict.fromkeys(TABLES, Match(row + 2, 1, state))
    return account


def _images(files: range) -> pl.DataFrame:
    text = [f"The lungs are clear. Heart size is normal. Line {file}. " * 5 for file in files]
    return pl.DataFrame(
        {
            "study_id": [pseudonym(KEY, "study", str(file // 2)) for file in files],
            "row": range(len(files)),
            "findings": text,
            "impression": text,
            "indication": pl.Series([None] * len(files), dtype=pl.String),
            "comparison": pl.Series([None] * len(files), dtype=pl.String),
            "finding:effusion": pl.Series([1] * len(files), dtype=pl.Int8),
            "labelled": True,
            "tubes": "[]",
            "digest": [f"{file:032x}" for file in files],
        }
    )


def table(rows: int, rounds: int) -> None:
    """Prepare a table of reports for joining, and read it with only Python's csv."""
    rng = np.random.default_rng(0)
    words = np.array(["lungs", "clear", "heart", "size", "normal", "effusion, small", "left"])
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "reports.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["accession_number", "findings", "impression"])
            for number in range(rows):
                texts = (" ".join(rng.choice(words, size)) for size in (60, 15))
                writer.writerow([f"{number:08}", *texts])
        ours, peer = [], []
        for _ in range(rounds):
            start = time.process_time()
            write_join_table("reports", path, Labels(), Path(name) / "out.parquet")
            ours.append(time.process_time() - start)
            start = time.process_time()
            with path.open(newline="") as file:
                for _ in csv.reader(file):
                    pass
            peer.append(time.process_time() - start)
        size = path.stat().st_size / 1e6
    print(
        f"{rows:,} rows, {size:.0f} MB: {min(ours):.1f} s, {min(ours) / min(peer):.1f} times csv "
        f"alone, {_peak():.2f} GiB"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("audit", help="the audit of joins")
    command.add_argument("--rows", type=int, default=35_000)
    command.add_argument("--partitions", type=int, default=350)
    command = commands.add_parser("table", help="reading one table")
    command.add_argument("--rows", type=int, default=50_000)
    command.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.command == "audit":
        audit(args.rows, args.partitions)
    else:
        table(args.rows, args.rounds)


if __name__ == "__main__":
    main()
