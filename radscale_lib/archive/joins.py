"""The audit of an archive's joins: which rows of its tables were joined to files.

A key that several patients share joins nothing. Whether they share one is known only once all
partitions are, so what a partition joined by such a key is undone here.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from radscale_lib.archive.join import JOINED, SHARED
from radscale_lib.archive.jointable import TableFacts
from radscale_lib.archive.ledger import TABLES_KEY
from radscale_lib.archive.near import near_text
from radscale_lib.archive.sections import Texts
from radscale_lib.shards.parquet import write_table

SCHEMA = pl.Schema([
    ("table", pl.String),
    ("keys", pl.String),
    ("rows", pl.Int64),
    ("rows_matched", pl.Int64),
    ("rows_shared", pl.Int64),
    ("rows_placeholder", pl.Int64),
    ("rows_without_key", pl.Int64),
    ("rows_unmatched", pl.Int64),
    ("near", pl.List(pl.Struct({"difference": pl.String, "rows": pl.Int64}))),
    ("images", pl.Int64),
    ("images_matched", pl.Int64),
    ("images_shared", pl.Int64),
    ("images_unmatched", pl.Int64),
    ("images_without_text", pl.Int64),
    ("studies_matched", pl.Int64),
    ("studies_unmatched", pl.Int64),
])  # fmt: skip
"""Columns of `joins.parquet`, one row per table (docs/reference/data-contracts.md)."""

_DIGITS = 16
"""Leading hex digits of a pseudonym that are compared."""
_TAKEN_BACK: dict[str, Callable[[str], bool]] = {
    "reports": lambda name: name in Texts._fields,
    "labels": lambda name: (
        name.startswith(("finding:", "tube:", "other:", "position:"))
        or name in ("labelled", "tubes")
    ),
    "tubes": lambda name: name == "tubes",
}
"""Columns of a shard that come from each table. That there is no tube may also come from labels."""


class Joins:
    """The joins of an archive's partitions."""

    def __init__(self, ledgers: Mapping[int, Path]) -> None:
        """Read the joins from the ledgers of the partitions, by number.

        Memory grows by some 50 bytes for each file that has a row.
        """
        self._ledgers = ledgers
        self._facts = _facts(ledgers.values())
        self._shared: dict[str, pl.Series] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._near: dict[str, list[tuple[str, int]]] = {}
        self._studies: dict[str, list[pl.DataFrame]] = {name: [] for name in self._facts}
        for name, facts in self._facts.items():
            self._count_rows(name, facts)

    def _count_rows(self, name: str, facts: TableFacts) -> None:
        row, rows, match = (f"{name}_{column}" for column in ("row", "rows", "match"))
        found, near = [], []
        for path in self._ledgers.values():
            files = pl.read_parquet(path, columns=["patient", row, rows, match]).filter(
                pl.col(row).is_not_null()
            )
            exact = pl.col(match).is_in([JOINED, SHARED])
            found.append(
                files.filter(exact).select(
                    _number("patient"), row, rows, (pl.col(match) == SHARED).alias("shared")
                )
            )
            near.append(files.filter(~exact).select(row, rows, match))
        keys = (
            pl.concat(found)
            .group_by(row)
            .agg(
                pl.col(rows).first(),
                (
                    pl.col("shared").any()
                    | (pl.col("patient").min() != pl.col("patient").max()).fill_null(False)
                ).alias("shared"),
            )
        )
        shared = keys.filter("shared")
        self._shared[name] = shared[row].sort()
        unmatched = (
            pl.concat(near)
            .join(keys, on=row, how="anti")
            .group_by(row)
            .agg(pl.col(rows).first(), pl.col(match).min())
        )
        states = unmatched.group_by(match).agg(pl.col(rows).sum()).sort([rows, match])
        self._near[name] = [(state, int(count)) for state, count in states.rows()[::-1]]
        counts = {
            "rows": facts.rows,
            "rows_matched": int(keys[rows].sum()) - int(shared[rows].sum()),
            "rows_shared": int(shared[rows].sum()),
            "rows_placeholder": facts.placeholders,
            "rows_without_key": facts.without_key,
        }
        counts["rows_unmatched"] = 2 * counts["rows"] - sum(counts.values())
        self._counts[name] = Counter(counts)

    def check(self, most_unmatched: Mapping[str, float]) -> Iterator[str]:
        """Problems: each table with too many unjoined rows, and why they are unjoined."""
        for name, counts in self._counts.items():
            lost = counts["rows"] - counts["rows_matched"]
            if lost > most_unmatched[name] * counts["rows"]:
                yield (
                    f"{name}: {lost:,} of {counts['rows']:,} rows ({lost / counts['rows']:.1%}) "
                    f"are joined to no file, more than joins.{name}.most_unmatched "
                    f"({most_unmatched[name]:.1%}): {'; '.join(self.explained(name))}. Correct the "
                    f"keys, or raise joins.{name}.most_unmatched (docs/hospital/ingest.md#joins)"
                )

    def explained(self, name: str) -> list[str]:
        """Why rows of a table are unjoined, and what would join them."""
        counts = self._counts[name]
        reasons = [
            (counts["rows_shared"], "with a key that several patients share"),
            (
                counts["rows_placeholder"],
                "with a placeholder for a key, such as 0 or N/A, which patients share",
            ),
            (counts["rows_without_key"], "without a key"),
            (counts["rows_unmatched"], "with a key that no file has"),
        ]
        texts = [f"{count:,} {what}" for count, what in reasons if count]
        ignored = self._facts[name].ignore
        return texts + [
            near_text(name, state, count, counts["rows"], ignored)
            for state, count in self._near[name]
        ]

    def apply(self, partition: int, images: pl.DataFrame) -> pl.DataFrame:
        """Undo what a shared key joined in a partition's rows of the catalog, and count the images.

        Args:
            partition: number of the partition.
            images: its rows, with the shard's columns and `row`.
        """
        if not self._facts:
            return images
        columns = [f"{name}_{column}" for name in self._facts for column in ("row", "match")]
        ledger = (
            pl.read_parquet(self._ledgers[partition], columns=["row", *columns])
            .filter(pl.col("row").is_not_null())
            .select(pl.col("row"), pl.exclude("row").name.prefix("@"))
        )
        images = images.join(ledger, on="row", how="left", maintain_order="left")
        taken = pl.lit("")
        for name in self._facts:
            exact = pl.col(f"@{name}_match").is_in([JOINED, SHARED]).fill_null(False)
            shared = exact & pl.col(f"@{name}_row").is_in(self._shared[name].implode())
            state = images.select(
                _number("study_id"),
                matched=exact & ~shared,
                shared=shared,
                blank=pl.all_horizontal(pl.col(*Texts._fields).is_null()),
            )
            counts = self._counts[name]
            counts["images"] += state.height
            counts["images_matched"] += int(state["matched"].sum())
            counts["images_shared"] += int(state["shared"].sum())
            counts["images_without_text"] += int((state["matched"] & state["blank"]).sum())
            self._studies[name].append(state.group_by("study_id").agg(pl.col("matched").any()))
            if state["shared"].any():
                given = (pl.col(f"@{name}_match") == JOINED) & shared
                taken = taken + pl.when(given).then(pl.lit(f" {name}")).otherwise(pl.lit(""))
                images = images.with_columns(
                    pl.when(given & self._is_from(name, column))
                    .then(pl.lit(False) if column == "labelled" else None)
                    .otherwise(column)
                    .cast(images.schema[column])
                    .alias(column)
                    for column in images.columns
                    if _TAKEN_BACK[name](column)
                )
        return _without_taken(images.with_columns(taken.alias("@taken")))

    def _is_from(self, name: str, column: str) -> pl.Expr:
        """Whether a column came from a table; "no tubes" may come from labels instead."""
        if name == "labels" and column == "tubes" and "tubes" in self._facts:
            return (pl.col("@tubes_match") != JOINED).fill_null(True)
        return pl.lit(True)

    def table(self) -> pl.DataFrame:
        """The audit, one row per table; images are counted once `apply` has seen all partitions."""
        rows: list[dict[str, Any]] = []
        for name, counts in self._counts.items():
            studies = pl.concat(
                [pl.DataFrame(schema={"study_id": pl.UInt64, "matched": pl.Boolean}),
                 *self._studies[name]]
            ).group_by("study_id").agg(pl.col("matched").any())  # fmt: skip
            matched = int(studies["matched"].sum())
            rows.append(
                {
                    **{column: counts[column] for column in SCHEMA if SCHEMA[column] == pl.Int64},
                    "table": name,
                    "keys": ", ".join(self._facts[name].keys),
                    "near": [
                        {"difference": state, "rows": count} for state, count in self._near[name]
                    ],
                    "images_unmatched": counts["images"]
                    - counts["images_matched"]
                    - counts["images_shared"],
                    "images_without_text": counts["images_without_text"]
                    if name == "reports"
                    else None,
                    "studies_matched": matched,
                    "studies_unmatched": studies.height - matched,
                }
            )
        return pl.DataFrame(rows, schema=SCHEMA)


def write_joins(path: Path, joins: Joins) -> None:
    """Write the audit as `joins.parquet`."""
    write_table(path, joins.table().to_arrow())


def _number(column: str) -> pl.Expr:
    """The start of a pseudonym as a number."""
    return pl.col(column).str.head(_DIGITS).str.to_integer(base=16, dtype=pl.UInt64)


def _without_taken(images: pl.DataFrame) -> pl.DataFrame:
    """Give images that lost a join a new digest, and drop the columns of joins."""
    changed = images["@taken"] != ""
    if changed.any():
        digests = [
            hashlib.sha256((digest + taken).encode()).hexdigest()[:32] if taken else digest
            for digest, taken in images.select("digest", "@taken").iter_rows()
        ]
        images = images.with_columns(pl.Series("digest", digests))
    return images.drop(name for name in images.columns if name.startswith("@"))


def _facts(ledgers: Iterable[Path]) -> dict[str, TableFacts]:
    for path in ledgers:
        metadata = pq.read_schema(path).metadata or {}
        tables = json.loads(metadata.get(TABLES_KEY, b"{}"))
        return {name: TableFacts(**values) for name, values in tables.items()}
    return {}
