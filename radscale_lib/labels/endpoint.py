"""Read labels with a model behind an endpoint, each text and definition once."""

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from radscale_lib.labels.guard import INSTRUCTS, instructs
from radscale_lib.labels.prompt import (
    MALFORMED,
    NOT_TAKEN,
    PROBE,
    TOO_LONG,
    key_of,
    missing,
    read_answer,
    request,
)
from radscale_lib.labels.reports import Labelled, Report
from radscale_lib.labels.server import FIRST_WAIT, EndpointError, RefusedError, Server, say_where
from radscale_lib.labels.states import MISSING, NAMES, Reading
from radscale_lib.languages import language as words_of
from radscale_lib.progress import Progress
from radscale_lib.study.archive import Labels
from radscale_lib.study.labels import MOST_LABELS

__all__ = ["Answers", "EndpointError", "by_endpoint"]

AHEAD = 16
"""Number of requests prepared together, per concurrent request."""


_TOLD = 20
"""Number of answers after which a server is judged."""
_MOST_MALFORMED = 0.9
"""Share of malformed answers above which it fails."""


class _DamagedError(ValueError):
    """An invalid row in the file of answers."""


class Answers:
    """The answers of a model, in a file that survives a killed job and holds no report text."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, creating it if needed.

        Raises:
            EndpointError: if it cannot be used; also raised by the other methods.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._file = sqlite3.connect(path)
            if self._file.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise _DamagedError
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, state INTEGER NOT NULL, "
                '"start" INTEGER NOT NULL, "end" INTEGER NOT NULL, reason TEXT NOT NULL) '
                "WITHOUT ROWID"
            )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Raise errors of the file with a remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise EndpointError(
                f"{self._path}: the answers cannot be read or written ({error}): is the disk full "
                "or read-only, or is another job using the file?"
            ) from None
        except (sqlite3.DatabaseError, _DamagedError):
            raise EndpointError(
                f"{self._path}: the file of answers is damaged: restore a copy, or delete it; its "
                "answers are then requested, and paid for, again"
            ) from None

    def get(self, key: bytes) -> Reading | None:
        """The answer of a key, if there is one."""
        query = 'SELECT state, "start", "end", reason FROM answers WHERE key = ?'
        with self._named():
            row = self._file.execute(query, (key,)).fetchone()
            if row is None:
                return None
            state, start, end, reason = row
            whole = all(type(number) is int for number in (state, start, end))
            if not (whole and state in NAMES and type(reason) is str):
                raise _DamagedError
            return Reading(state, start, end, reason)

    def keep(self, answers: Iterable[tuple[bytes, Reading]]) -> None:
        """Keep answers, all or none."""
        with self._named(), self._file:
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
    """Read what reports say about each of the study's labels, with the study's endpoint.

    Texts that address a model, or exceed `labels.endpoint.characters`, are not sent.

    Args:
        labels: the study's labels, with their endpoint.
        language: code of the reports' language.
        reports: N reports.
        path: file of the answers, including those of earlier attempts.
        first_wait: seconds before the second attempt of a request.

    Raises:
        EndpointError: if the server may not be used, refuses requests, or fails in all attempts;
            its answers so far are kept.
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
        self._read, self._malformed = 0, 0

    def not_sent(self, text: str) -> str:
        """Why a text is not sent; empty if it is."""
        if instructs(text):
            return INSTRUCTS
        return TOO_LONG if len(text) > self.endpoint.characters else ""

    def key(self, text: str, label: str) -> bytes:
        model = self.endpoint.model
        return key_of(text, label, self.definitions[label], model, self.language)

    def unknown(self, text: str) -> list[str]:
        """Labels of a text without a kept answer."""
        return [name for name in self.definitions if self.answers.get(self.key(text, name)) is None]

    def keep(self, answers: Sequence[tuple[bytes, Reading]]) -> None:
        """Keep the answers to one request, except malformed ones, which are requested again.

        Raises:
            EndpointError: if nearly all answers so far are entirely malformed.
        """
        usable = [(key, each) for key, each in answers if each.reason != MALFORMED]
        self.answers.keep(usable)
        self._read += 1
        self._malformed += not usable
        if self._read >= _TOLD and self._malformed > _MOST_MALFORMED * self._read:
            raise self.server.stop(
                f"{self.server.host}: {self._malformed} of {self._read} answers are malformed: "
                "does the server support JSON schemas (response_format), and is the model able to "
                "follow one? Malformed answers are not kept"
            )

    def ask(self, text: str, labels: Sequence[str]) -> list[tuple[bytes, Reading]]:
        """Request answers from the server; runs in a thread of its own."""
        wanted: Mapping[str, str] = {name: self.definitions[name] for name in labels}
        model = self.endpoint.model
        try:
            choice = self.server.complete(request(text, wanted, model, self.language))
        except RefusedError as refused:
            try:
                self.server.complete(request(PROBE, wanted, model, "en"))
            except RefusedError:
                raise self.server.stop(str(refused)) from None
            readings = missing(NOT_TAKEN, labels)
        else:
            readings = read_answer(choice, text, labels, words_of(self.language).stopwords)
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
    """Request all unknown labels of the texts, and keep the answers as they come."""
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
                try:
                    asker.keep(future.result())
                except EndpointError as error:
                    failed = failed or error
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
    """Convert a reading of both sections' text to one section; quotes across both have no place."""
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
