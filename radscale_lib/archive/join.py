"""Join a table to some of the archive's files by their keys."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from radscale_lib.archive.joinkeys import ALL_DIFFERENCES, KEYS, Identity, differences, without
from radscale_lib.archive.jointable import table_facts
from radscale_lib.archive.near import OTHER_KEY

JOINED, SHARED = "joined", "shared"
"""How a file and a row were matched; otherwise the differences of their keys, joined by `+`."""

LINE = "@row"
"""Column with a row's number in its table."""


class Match(NamedTuple):
    """A row that matches a file's keys, or would if both were written alike."""

    row: int
    """The first row of the table that has the key."""
    rows: int
    """How many rows have it."""
    state: str
    """`joined`; `shared` (with other patients); `other_key` (by another key column than the row's
    first); or the differences of the accession numbers, such as `leading_zeros:8+case`, with the
    number of digits in the header. Only `joined` rows are joined."""


class Join:
    """The rows of a table that match the keys of some files."""

    def __init__(self, path: Path, identities: Sequence[Identity]) -> None:
        """Read the rows of some files.

        Args:
            path: the table, prepared for joining (`write_join_table`).
            identities: of all files with a readable header, also those that the study does not
                select: their rows are not unmatched, and their patients can share a key.
        """
        facts = table_facts(path)
        assert facts is not None, "a table that is ready for joining"
        self.facts = facts
        scan = pl.scan_parquet(path)
        wanted = {pair for identity in identities for pair in self._keys(identity)}
        found = self._named(scan, {key for _, key in wanted})
        self._rows: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for row in found:
            named = row["@kind"], row["@key"]
            if named in wanted:
                self._rows.setdefault(named, []).append(row)
        patients: dict[tuple[int, str], set[str]] = {}
        for identity in identities:
            if identity.patient_id and (key := self._key(identity)):
                patients.setdefault(key, set()).add(identity.patient_id)
        self._shared = {key for key, of in patients.items() if len(of) > 1}
        unmatched = [identity for identity in identities if self._key(identity) is None]
        self._near = self._alike(scan, unmatched) if facts.rows else {}

    def rows_of(self, identity: Identity) -> list[dict[str, Any]] | None:
        """The rows that are joined to a file, by column; null if there is none."""
        key = self._key(identity)
        return None if key is None or key in self._shared else self._rows[key]

    def match_of(self, identity: Identity) -> Match | None:
        """How a file was matched to the table; null if no row is close to it."""
        key = self._key(identity)
        if key is not None:
            rows = self._rows[key]
            return Match(rows[0][LINE], len(rows), SHARED if key in self._shared else JOINED)
        return self._near.get(identity.accession_number)

    @property
    def shared_rows(self) -> int:
        """Rows whose key several patients among the files share."""
        return sum(len(self._rows[key]) for key in self._shared)

    def _keys(self, identity: Identity) -> list[tuple[int, str]]:
        """Keys of a file, most specific first, in the form of the table's."""
        keys = []
        for kind, name in enumerate(KEYS):
            key = getattr(identity, name)
            if name == "accession_number":
                key = without(key, self.facts.ignore)
            if key and name in self.facts.keys:
                keys.append((kind, key))
        return keys

    def _key(self, identity: Identity) -> tuple[int, str] | None:
        return next((key for key in self._keys(identity) if key in self._rows), None)

    def _named(self, scan: pl.LazyFrame, keys: set[str]) -> list[dict[str, Any]]:
        unused = ["@accession", "@loose", "@content"]
        return (
            scan.filter(pl.col("@key").is_in(sorted(keys)))
            .drop(unused)
            .sort(LINE)
            .collect()
            .to_dicts()
        )

    def _alike(self, scan: pl.LazyFrame, unmatched: Sequence[Identity]) -> dict[str, Match]:
        """The first row whose accession number is nearly the same."""
        loose: dict[str, set[str]] = {}
        for identity in unmatched:
            if text := without(identity.accession_number, ALL_DIFFERENCES):
                loose.setdefault(text, set()).add(identity.accession_number)
        if not loose or "accession_number" not in self.facts.keys:
            return {}
        columns = [LINE, "@kind", "@key", "@accession", "@loose"]
        rows = scan.select(columns).filter(pl.col("@loose").is_in(sorted(loose))).sort(LINE)
        found = rows.collect().rows()
        counts = Counter((kind, key) for _, kind, key, _, _ in found)
        near: dict[str, Match] = {}
        for number, kind, key, accession, text in found:
            for ours in loose[text] - near.keys():
                state = _state(ours, accession)
                if state is not None:
                    near[ours] = Match(number, counts[kind, key], state)
        return near


def _state(ours: str, theirs: str) -> str | None:
    found = differences(ours, theirs)
    if found is None:
        return None
    width = f":{len(ours)}" if len(ours) > len(theirs) else ""
    names = [name + width * (name == "leading_zeros") for name in found]
    return "+".join(names) or OTHER_KEY
