"""Reads labels by a model behind an endpoint, each text and definition once."""

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from radscale_lib.labels.guard import INSTRUCTS, instructs
from radscale_lib.labels.prompt import (
    MALFORMED,
    TOO_LONG,
    key_of,
    read_answer,
    request,
)
from radscale_lib.labels.reports import Labelled, Report
from radscale_lib.labels.server import FIRST_WAIT, EndpointError, Server, say_where
from radscale_lib.labels.states import MISSING, Reading
from radscale_lib.progress import Progress
from radscale_lib.study.archive import Labels
from radscale_lib.study.labels import MOST_LABELS

__all__ = ["Answers", "EndpointError", "by_endpoint"]

AHEAD = 16
"""Requests for each of those at once that are made ready together."""


class Answers:
    """What a model answered, in a file that outlives a killed job; it holds no text."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, which is made if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path)
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, state INTEGER NOT NULL, "
            '"start" INTEGER NOT NULL, "end" INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID'
        )

    def get(self, key: bytes) -> Reading | None:
        """The answer of a key, if there is one."""
        query = 'SELECT state, "start", "end", reason FROM answers WHERE key = ?'
        row = self._file.execute(query, (key,)).fetchone()
        return None if row is None else Reading(*row)

    def keep(self, answers: Iterable[tuple[bytes, Reading]]) -> None:
        """Keep answers, whole or not at all."""
        with self._file:
            self._file.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
                ((key, *reading) for key, reading in answers),
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def by_endpoint(
    labels: Labels,
    language: str,
    reports: Sequence[Report],
    path: Path,
    first_wait: float = FIRST_WAIT,
) -> Iterator[list[Labelled]]:
    """What reports say of each label of the study, by the study's endpoint.

    Texts that address a model or are longer than `labels.endpoint.characters` are not sent.

    Args:
        labels: the study's labels, with their endpoint.
        language: code of the reports' language.
        reports: N reports.
        path: file of the answers, those of earlier attempts included.
        first_wait: seconds before the second attempt of a request.

    Raises:
        EndpointError: if the server may not be used, refuses requests, or fails in all attempts;
            what it answered is kept.
    """
    assert labels.endpoint is not None
    server = Server(labels.endpoint, first_wait)
    say_where(server, labels.endpoint, len(reports), len(labels.columns))
    answers = Answers(path)
    try:
        yield from _read(_Asker(labels, language, server, answers), reports)
    finally:
        answers.close()


class _Asker:
    def __init__(self, labels: Labels, language: str, server: Server, answers: Answers) -> None:
        assert labels.endpoint is not None
        self.endpoint, self.language = labels.endpoint, language
        self.definitions = {name: labels.definition(name) or name for name in labels.columns}
        self.server, self.answers = server, answers

    def not_sent(self, text: str) -> str:
        """Why a text is not sent; empty if it is."""
        if instructs(text):
            return INSTRUCTS
        return TOO_LONG if len(text) > self.endpoint.characters else ""

    def key(self, text: str, label: str) -> bytes:
        model = self.endpoint.model
        return key_of(text, label, self.definitions[label], model, self.language)

    def unknown(self, text: str) -> list[str]:
        """Labels of a text that no answer is kept of."""
        return [name for name in self.definitions if self.answers.get(self.key(text, name)) is None]

    def ask(self, text: str, labels: Sequence[str]) -> list[tuple[bytes, Reading]]:
        """Answers of the server; runs in a thread of its own."""
        wanted: Mapping[str, str] = {name: self.definitions[name] for name in labels}
        choice = self.server.complete(request(text, wanted, self.endpoint.model, self.language))
        readings = read_answer(choice, text, labels)
        return [(self.key(text, n), each) for n, each in zip(labels, readings, strict=True)]


def _read(asker: _Asker, reports: Sequence[Report]) -> Iterator[list[Labelled]]:
    progress, reasons, left = (
        Progress("labels", len(reports), "reports"),
        Counter[str](),
        iter(reports),
    )
    done = 0
    with ThreadPoolExecutor(asker.endpoint.concurrency) as pool:
        while some := list(islice(left, AHEAD * asker.endpoint.concurrency)):
            texts = dict.fromkeys(each.text for each in some if not asker.not_sent(each.text))
            _ask_all(pool, asker, texts)
            for report in some:
                said = list(_said(asker, report))
                reasons.update(each.reading.reason for each in said if each.reading.reason)
                yield said
            done += len(some)
            progress.reach(done)
    for reason, count in sorted(reasons.items()):
        print(f"{count:,} labels are missing: {reason}", file=sys.stderr)


def _ask_all(pool: ThreadPoolExecutor, asker: _Asker, texts: Iterable[str]) -> None:
    """Ask for all labels of some texts that are not known; keep the answers as they come."""
    pending = set()
    for text in texts:
        names = asker.unknown(text)
        for first in range(0, len(names), MOST_LABELS):
            pending.add(pool.submit(asker.ask, text, names[first : first + MOST_LABELS]))
    failed: BaseException | None = None
    while pending:
        finished, pending = wait(pending, return_when=FIRST_EXCEPTION, timeout=1.0)
        for future in finished:
            if future.cancelled():
                continue
            if error := future.exception():
                failed = failed or error
            else:
                asker.answers.keep(future.result())
        if failed is not None:
            for future in pending:
                future.cancel()
    if failed is not None:
        raise failed


def _said(asker: _Asker, report: Report) -> Iterator[Labelled]:
    text = report.text
    why = asker.not_sent(text)
    for name in asker.definitions:
        if why:
            yield Labelled(None, Reading(MISSING, reason=why))
            continue
        known = asker.answers.get(asker.key(text, name))
        yield _in_section(report, known or Reading(MISSING, reason=MALFORMED))


def _in_section(report: Report, reading: Reading) -> Labelled:
    """A reading of both sections' text as one of a section; what crosses them has no place."""
    if reading.start < 0:
        return Labelled(None, reading)
    begin = len(report.findings) + 1 if report.findings else 0
    if reading.start >= begin and report.impression:
        return Labelled(
            "impression", reading._replace(start=reading.start - begin, end=reading.end - begin)
        )
    if report.findings and reading.end < begin:
        return Labelled("findings", reading)
    return Labelled(None, reading._replace(start=-1, end=-1))
