"""Check an archive's tables: whether they can be read, and whether rows match files."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from radscale_lib.preflight.archives import sample
from radscale_lib.preflight.finding import Finding
from radscale_lib.study.archive import Archive
from radscale_lib.study.model import Study

if TYPE_CHECKING:
    from radscale_lib.archive.joinkeys import Identity

MOST_TEXTS = 2_000
"""Maximum number of reports whose language is checked."""
MOST_ROWS, MOST_BYTES = 50_000, 2**25
"""Maximum rows read from a table, and bytes read to detect its encoding. In longer tables, the job
that reads all rows reports the remaining problems."""


def table_findings(study: Study) -> Iterator[Finding]:
    """Unreadable tables, and tables of which no or few rows match a sample of the files.

    Reads the first `MOST_ROWS` rows of each table, and some headers.
    """
    for name, archive in study.archives.items():
        if archive.dicom is None or archive.ingested:
            continue
        given = {table: getattr(archive, table) for table in study.tables_of(name)}
        tables = {table: path for table, path in given.items() if path and path.is_file()}
        if tables:
            listing = study.folder / "data" / name / "listing"
            identities = _identities(archive, listing) if archive.dicom.is_dir() else []
            for table, path in tables.items():
                yield from _findings(study, name, table, path, identities)


def _identities(archive: Archive, listing: Path) -> "list[Identity]":
    from radscale_lib.archive.header import quiet_pydicom, read_header
    from radscale_lib.archive.joinkeys import identity_of
    from radscale_lib.archive.outcomes import RefusedError

    assert archive.dicom is not None
    found = []
    with quiet_pydicom():
        for path in sample(archive.dicom, listing):
            try:
                found.append(identity_of(read_header(path).elements))
            except RefusedError:
                continue
    return found


def _findings(
    study: Study, name: str, table: str, path: Path, identities: "Sequence[Identity]"
) -> Iterator[Finding]:
    from radscale_lib.archive.join import JOINED, SHARED, Join
    from radscale_lib.archive.jointable import form_of, write_join_table
    from radscale_lib.archive.near import near_text
    from radscale_lib.archive.tablefile import TableError

    archive, place = study.archives[name], study.key_of(name)
    join_section = getattr(archive.joins, table)
    with tempfile.TemporaryDirectory(prefix="radscale-check-") as folder:
        ready = Path(folder) / f"{table}.parquet"
        try:
            facts = write_join_table(
                table,
                path,
                study.labels_in(name),
                ready,
                replace(form_of(archive, table), most=MOST_BYTES),
                join_section.ignore,
                MOST_ROWS,
            )
        except TableError as error:
            yield Finding(f"{place}.{table}: {error}")
            return
        join = Join(ready, identities)
        if table == "reports" and (problem := _language_problem(archive, ready)):
            yield Finding(f"{place}.{problem}")
    if facts.rows == 0:
        yield Finding(f"{place}.{table}: {path} has a header and no rows", stops=False)
        return
    without_key = facts.placeholders + facts.without_key
    if without_key > join_section.most_unmatched * facts.rows:
        yield Finding(
            f"{place}.{table}: {without_key:,} of {facts.rows:,} rows have no key in "
            f"{', '.join(facts.keys)}, or a placeholder such as 0 or N/A, which is more than "
            f"{place}.joins.{table}.most_unmatched ({join_section.most_unmatched:.1%}): fill it"
        )
    matches = [match for match in map(join.match_of, identities) if match]
    complete = facts.rows < MOST_ROWS
    if not complete or not identities or any(match.state == JOINED for match in matches):
        return
    reasons = [
        near_text(table, state, count, len(identities), facts.ignore, what="files")
        for state, count in Counter(m.state for m in matches if m.state != SHARED).most_common(3)
    ]
    if shared := sum(match.state == SHARED for match in matches):
        reasons.append(f"{shared:,} have a {', '.join(facts.keys)} that several patients share")
    told = f" ({'; '.join(reasons)})" if reasons else ""
    yield Finding(
        f"{place}.{table}: none of {len(identities)} files looked at has a row, by "
        f"{', '.join(facts.keys)}{told}: compare the table's keys with the headers'",
        stops=False,
    )


def _language_problem(archive: Archive, ready: Path) -> str | None:
    """Problem with the language of the first `MOST_TEXTS` reports of a table."""
    import polars as pl

    from radscale_lib.archive.sections import Texts
    from radscale_lib.archive.texts import TextReader, language_problem

    columns = pl.read_parquet_schema(ready)
    names = ["report"] if "report" in columns else [n for n in Texts._fields if n in columns]
    reader = TextReader(archive.language, scrubbed=False)
    for row in pl.scan_parquet(ready).select(names).head(MOST_TEXTS).collect().to_dicts():
        reader.read(row, ())
    return language_problem(reader.counts, archive.language, archive.most_foreign_reports)
