"""Turn an archive's reports into plain text in sections, without identifiers."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from radscale_lib.archive.markup import plain_text
from radscale_lib.archive.scrub import scrubber
from radscale_lib.archive.sections import Texts, splitter, tidy_lines
from radscale_lib.archive.tongues import language_of
from radscale_lib.languages import language
from radscale_lib.shards.parquet import write_table

TextCounts = Counter[tuple[str, str]]
"""Number of images or of marks, by step and rule (docs/reference/data-contracts.md)."""
TEXTS_KEY = b"radscale.texts"
"""Metadata key of a partition's ledger: its counts, as JSON of [step, rule, count]."""


class TextReader:
    """Reads the rows of a report table, and counts what its rules did.

    Attributes:
        counts: of the texts that were read.
    """

    def __init__(self, code: str, scrubbed: bool) -> None:
        """Take the archive's language, and whether to remove identifiers by rules (`scrubbed`)."""
        self._code = code
        self._splitter = splitter(code)
        self._scrubber = scrubber(code) if scrubbed else None
        self.counts: TextCounts = Counter()

    def read(self, row: Mapping[str, str | None], identifiers: Sequence[str]) -> Texts:
        """The texts of an image, with their line breaks.

        A report in another language than the archive's is left out, since its identifiers would not
        be found.

        Args:
            row: `report`, or some of the fields of `Texts`.
            identifiers: names and numbers of patient and study from the image's header.
        """
        markup, rules, marks = Counter[str](), Counter[str](), Counter[str]()
        if "report" in row:
            report = plain_text(row["report"], markup)
            texts = Texts() if report is None else self._splitter.split(report, rules)
        else:
            report = None
            texts = Texts(*(plain_text(row.get(name), markup) for name in Texts._fields))
            report = "\n".join(filter(None, texts)) or None
        spoken = language_of(report, self._code) if report else None
        if report:
            self._count("language", Counter({spoken or UNTOLD: 1}))
        if spoken not in (None, self._code):
            return Texts()
        if self._scrubber is not None:
            whole = "report" in row
            texts = Texts(
                *(text and self._scrubber.scrub(text, identifiers, marks, whole) for text in texts)
            )
        texts = Texts(*map(_present, texts))
        present = {name: int(text is not None) for name, text in texts._asdict().items()}
        for step, counts in (
            ("markup", markup), ("sections", rules), ("marks", marks), ("texts", Counter(present)),
        ):  # fmt: skip
            self._count(step, counts)
        return texts

    def _count(self, step: str, counts: Counter[str]) -> None:
        self.counts.update({(step, rule): count for rule, count in counts.items() if count})


def _present(text: str | None) -> str | None:
    """A section with single blanks and line feeds; null if it says nothing."""
    return tidy_lines(plain_text(text))


UNTOLD = "too short to tell"
"""Stands in for the language of such a text."""


def language_problem(counts: TextCounts, code: str, most: float) -> str | None:
    """The problem, with remedy, if too many of an archive's reports are in another language.

    Args:
        counts: of its texts.
        code: of the language that it declares.
        most: share of the reports of recognised language that may be in another one.
    """
    spoken = {rule: count for (step, rule), count in counts.items() if step == "language"}
    spoken.pop(UNTOLD, None)
    told = sum(spoken.values())
    others = told - spoken.pop(code, 0)
    if others <= most * told:
        return None
    frequent = max(spoken, key=lambda rule: (spoken[rule], rule))
    named = "" if frequent == "other" else f", most of these in {frequent!r}"
    return (
        f"language: {others:,} of {told:,} reports ({others / told:.1%}) are not in "
        f"{language(code).name} ({code!r}){named}: set the archive's 'language' to that of its "
        "reports, or raise most_foreign_reports to leave their texts out"
    )


def texts_metadata(counts: TextCounts) -> dict[bytes, str]:
    """Counts as metadata of a ledger."""
    rows = [[step, rule, count] for (step, rule), count in sorted(counts.items())]
    return {TEXTS_KEY: json.dumps(rows)}


def read_counts(ledgers: Iterable[Path]) -> TextCounts:
    """The counts of an archive, summed over the ledgers of its partitions."""
    total: TextCounts = Counter()
    for path in ledgers:
        metadata = pq.read_schema(path).metadata or {}
        for step, rule, count in json.loads(metadata.get(TEXTS_KEY, b"[]")):
            total[step, rule] += count
    return total


def write_counts(path: Path, counts: TextCounts) -> None:
    """Write the table of counts: `step`, `rule`, `count`, sorted."""
    rows = [(step, rule, count) for (step, rule), count in sorted(counts.items())]
    table = pl.DataFrame(
        rows, {"step": pl.String, "rule": pl.String, "count": pl.Int64}, orient="row"
    )
    write_table(path, table.to_arrow())
