"""Reports of an archive's studies, and the table of what is read from them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from radscale_lib.digests import text_number
from radscale_lib.labels.guard import INSTRUCTS, instructs
from radscale_lib.labels.rules import RuleReader
from radscale_lib.labels.states import (
    MISSING,
    NAMES,
    RANK,
    SCHEMA,
    SECTIONS,
    SILENT,
    Reading,
)
from radscale_lib.shards.parquet import open_table

ROWS = 65_536
"""Approximate number of rows written at a time."""


class Report(NamedTuple):
    """The texts of a study to read."""

    study_id: str
    findings: str
    impression: str

    @property
    def text(self) -> str:
        """Both sections, separated by a line feed."""
        return f"{self.findings}\n{self.impression}" if self.findings else self.impression


class Labelled(NamedTuple):
    """What a report says about a label, and in which section (null: in none)."""

    section: str | None
    reading: Reading


def read_reports(catalog: Path, part: int, parts: int) -> list[Report]:
    """Non-empty reports of a part of the studies, in order of ids.

    Args:
        catalog: `catalog.parquet`.
        part: number of the part.
        parts: number of parts. Studies are divided by a digest of their texts, so that equal texts
            are in the same part.
    """
    texts = [pl.col(name).fill_null("").str.strip_chars() for name in SECTIONS]
    table = (
        pl.scan_parquet(catalog)
        .select("study_id", *texts)
        .filter((pl.col("findings") != "") | (pl.col("impression") != ""))
        .unique("study_id", keep="any")
        .sort("study_id")
        .collect()
    )
    reports = (Report(*row) for row in table.iter_rows())
    return [report for report in reports if text_number(report.text) % parts == part]


def by_rules(reader: RuleReader, reports: Iterable[Report]) -> Iterator[list[Labelled]]:
    """What reports say about each label of a reader, by rules."""
    for report in reports:
        if instructs(report.text):
            yield [Labelled(None, Reading(MISSING, reason=INSTRUCTS))] * len(reader.labels)
            continue
        found = [Labelled(None, SILENT)] * len(reader.labels)
        for section in SECTIONS:
            for number, reading in enumerate(reader.read(getattr(report, section))):
                if RANK[reading.state] > RANK[found[number].reading.state]:
                    found[number] = Labelled(section, reading)
        yield found


def write_readings(
    path: Path,
    source: str,
    labels: Sequence[str],
    reports: Sequence[Report],
    readings: Iterable[Sequence[Labelled]],
) -> None:
    """Write readings: a row for each study and label, in the given orders.

    Args:
        path: Parquet file to write.
        source: name of the source.
        labels: K names.
        reports: N reports.
        readings: N times K readings.
    """
    with open_table(path, SCHEMA) as writer:
        rows: list[tuple[str, str, Labelled]] = []
        for report, said in zip(reports, readings, strict=True):
            rows += [
                (report.study_id, label, each) for label, each in zip(labels, said, strict=True)
            ]
            if len(rows) >= ROWS:
                writer.append(_table(source, rows))
                rows.clear()
        if rows:
            writer.append(_table(source, rows))


def _table(source: str, rows: Sequence[tuple[str, str, Labelled]]) -> pa.Table:
    readings = [each.reading for _, _, each in rows]
    columns = {
        "study_id": [study for study, _, _ in rows],
        "label": [label for _, label, _ in rows],
        "state": [NAMES[reading.state] for reading in readings],
        "source": [source] * len(rows),
        "section": [each.section for _, _, each in rows],
        "start": [None if reading.start < 0 else reading.start for reading in readings],
        "end": [None if reading.start < 0 else reading.end for reading in readings],
        "reason": [reading.reason or None for reading in readings],
    }
    return pa.table(columns, schema=SCHEMA)
