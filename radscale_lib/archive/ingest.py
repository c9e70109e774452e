"""Ingest one partition of an archive: from its listing to a shard, an index and a ledger."""

import json
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from radscale_lib.archive import retries
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.instance import Instance, instance_of
from radscale_lib.archive.join import Join
from radscale_lib.archive.joinkeys import identity_of, is_placeholder
from radscale_lib.archive.jointable import form_of, table_facts, write_join_table
from radscale_lib.archive.ledger import Account, write_index, write_ledger
from radscale_lib.archive.listing import NOT_A_FILE, UNTIMED, Entry, read_listing
from radscale_lib.archive.outcomes import (
    REUSED_UID,
    DuplicateError,
    ExcludedError,
    Outcome,
    PostponedError,
    QuarantinedError,
    RefusedError,
    is_environment,
    postponed,
)
from radscale_lib.archive.resize import position
from radscale_lib.archive.scratch import scratch
from radscale_lib.archive.sections import Texts
from radscale_lib.archive.selection import check_selected, facts_of
from radscale_lib.archive.stored import stored_pixels
from radscale_lib.archive.tables import LabelTable, Reports, TubeTable
from radscale_lib.archive.texts import TextCounts, TextReader
from radscale_lib.archive.tubes import Points, Tube
from radscale_lib.archive.workers import WorkerDied, Workers
from radscale_lib.files import make_private
from radscale_lib.progress import Progress
from radscale_lib.pseudonyms import device_code, pseudonym
from radscale_lib.shards import codec
from radscale_lib.shards.schema import (
    finding_column,
    image_digest,
    other_columns,
    position_columns,
    tube_column,
)
from radscale_lib.shards.writer import open_shard
from radscale_lib.study.archive import TABLES, Archive, Image, Labels, Select

MOST_SECONDS = 120.0
"""Processor seconds allowed per image; the slowest intact ones (JPEG 2000, 20 megapixels) take
4."""


@dataclass(frozen=True)
class Sources:
    """Where an archive's images and tables are."""

    dicom: Path
    reports: Path | None = None
    labels: Path | None = None
    tubes: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """The three files of a partition."""

    index: Path
    ledger: Path
    shard: Path


def ingest(
    archive: Archive,
    labels: Labels,
    key: bytes,
    stage: str,
    listing: Path,
    sources: Sources,
    outputs: Outputs,
    processes: int = 1,
    known: Labels | None = None,
) -> Counter[str]:
    """Turn the files of a listing into a shard, and record the outcome of each.

    A failure of the environment (`is_environment`, a process killed for memory, a file that
    changes) postpones the file. A defective file affects no other: pixels are decoded in separate
    processes, so that not even a decoder that crashes or hangs ends the job. The outputs do not
    depend on the number of processes.

    Args:
        archive: selection and image preparation.
        labels: label names of the study.
        key: secret key of the pseudonyms.
        stage: the stage id, kept in the shard's metadata.
        listing: the partition's listing.
        sources: the DICOM folder and the tables.
        outputs: the files to write.
        processes: how many decode.
        known: the labels that the tables have; None: all. The others are null.

    Returns:
        Number of files by outcome.

    Raises:
        ListingError: if the listing is damaged.
        TableError: if a table cannot be used.
    """
    known = known or labels
    accounts = [Account(entry) for entry in read_listing(listing)]
    for output in (outputs.index, outputs.ledger, outputs.shard):
        make_private(output.parent)
    with quiet_pydicom():
        progress = Progress("headers", len(accounts))
        selected: list[tuple[Account, Instance]] = []
        for account in accounts:
            with _recorded(account):
                selected.append((account, _inspect(sources.dicom, account, archive.select)))
            progress.step()
        progress = Progress("images", len(selected))
        first = _First()
        joins = _joins(archive, known, sources, outputs, accounts)
        with (
            Workers(partial(_try_to_prepare, archive.image), processes, MOST_SECONDS) as workers,
            open_shard(outputs.shard, labels, stage, archive.demographics) as writer,
        ):
            instances = [instance for _, instance in selected]
            tables = _Tables(joins, sources, labels, known, instances, archive)
            results = workers.map((account.entry, instance) for account, instance in selected)
            for (account, instance), result in zip(selected, results, strict=True):
                with _recorded(account):
                    prepared = _unwrap(account, result)
                    masked_lines = prepared.pop("masked_lines")
                    prepared["scanner"] = device_code(key, prepared["scanner"])
                    image_id = pseudonym(key, "image", instance.sop_instance_uid)
                    account.stage = "duplicates"
                    first.check(image_id, image_digest(prepared["image"]))
                    ids = {
                        "image_id": image_id,
                        "study_id": pseudonym(key, "study", instance.study_instance_uid),
                        "patient_id": pseudonym(key, "patient", instance.patient_id),
                    }
                    joined, missing = tables.columns_of(instance, prepared, archive.image)
                    account.outcome, account.stage = "accepted", None
                    account.detail = _remarks(masked_lines, missing, instance.patient_id)
                if account.outcome == "accepted":
                    of_patient = {name: getattr(instance, name) for name in archive.demographics}
                    account.row = writer.append(ids | prepared | of_patient | joined)
                progress.step()
    write_index(outputs.index, accounts)
    facts = {name: join.facts for name, join in joins.items()}
    write_ledger(outputs.ledger, accounts, outputs.shard.name, key, facts, tables.texts)
    tables.report(writer.rows)
    counts = Counter(str(account.outcome) for account in accounts)
    retries.note(outputs.ledger, counts["postponed"])
    return counts


@contextmanager
def _recorded(account: Account) -> Iterator[None]:
    """Record a refusal raised in the block; any other error counts as a defect of the file."""
    try:
        yield
    except RefusedError as refused:
        account.outcome = refused.outcome
        account.reason, account.detail = refused.reason, refused.detail
    except Exception as error:
        if is_environment(error):
            account.outcome = "postponed"
            account.reason, account.detail = postponed(error).reason, postponed(error).detail
            return
        # The text of another library's exception can contain values of the file: keep its type
        # only.
        account.outcome = "quarantined"
        account.reason, account.detail = "unexpected", type(error).__name__


def _inspect(folder: Path, account: Account, select: Select) -> Instance:
    account.stage = "scan"
    if account.entry.size == NOT_A_FILE:
        raise QuarantinedError("unreadable", "no readable file or folder")
    path = folder / account.entry.path
    _check_unchanged(path, account.entry)
    account.stage = "header"
    header = read_header(path)
    account.identity = identity_of(header.elements)
    account.stage = "selection"
    account.facts = facts_of(header)
    check_selected(header, account.facts, select)
    assert account.facts.view is not None
    return instance_of(header, account.facts.view, account.identity)


def _joins(
    archive: Archive,
    labels: Labels,
    sources: Sources,
    outputs: Outputs,
    accounts: Sequence[Account],
) -> dict[str, Join]:
    """Join the files to the tables, and record the result for each.

    A table that has not been prepared for joining is prepared here.
    """
    identities = [account.identity for account in accounts if account.identity]
    joins = {}
    for name in TABLES:
        path = getattr(sources, name)
        if path is None:
            continue
        if table_facts(path) is not None:
            joins[name] = Join(path, identities)
        else:
            outputs.ledger.parent.mkdir(parents=True, exist_ok=True)
            with scratch(outputs.ledger.parent, "tables") as folder:
                ready = folder / f"{name}.parquet"
                form, ignore = form_of(archive, name), getattr(archive.joins, name).ignore
                write_join_table(name, path, labels, ready, form, ignore)
                joins[name] = Join(ready, identities)
    for account in accounts:
        if account.identity:
            matches = {name: join.match_of(account.identity) for name, join in joins.items()}
            account.matches = {name: match for name, match in matches.items() if match}
    return joins


def _check_unchanged(path: Path, entry: Entry) -> None:
    """Postpone a file that changed since it was listed: it may still be being written."""
    status = path.stat()
    regular = stat.S_ISREG(status.st_mode)
    times = (status.st_mtime_ns, UNTIMED)
    if not regular or status.st_size != entry.size or entry.mtime_ns not in times:
        raise PostponedError("changed", "since it was listed")


class _Refusal(NamedTuple):
    """A refusal as it is passed between processes."""

    outcome: Outcome
    reason: str
    detail: str | None


def _try_to_prepare(image: Image, selected: tuple[Entry, Instance]) -> dict[str, Any] | _Refusal:
    """The image columns of a row, or why there is none; never raises."""
    entry, instance = selected
    account = Account(entry)
    with _recorded(account):
        prepared = image_columns(instance, image)
        _check_unchanged(instance.path, entry)
        return prepared
    if account.outcome == "quarantined":
        with _recorded(account):
            _check_unchanged(instance.path, entry)
    assert account.outcome is not None
    assert account.reason is not None
    return _Refusal(account.outcome, account.reason, account.detail)


def _unwrap(account: Account, result: dict[str, Any] | _Refusal | WorkerDied) -> dict[str, Any]:
    account.stage = "pixels"
    if isinstance(result, WorkerDied):
        if not result.by_itself:
            raise PostponedError("stalled" if result.hung else "killed", result.signal)
        raise QuarantinedError("decoder_hung" if result.hung else "decoder_crashed", result.signal)
    if isinstance(result, _Refusal):
        kinds: tuple[type[RefusedError], ...] = (ExcludedError, PostponedError, QuarantinedError)
        raise {kind.outcome: kind for kind in kinds}[result.outcome](result.reason, result.detail)
    return result


def _remarks(masked_lines: int, missing: Sequence[str], patient_id: str) -> str | None:
    """The remarks in the ledger on an accepted image."""
    remarks = [f"{masked_lines} lines masked"] if masked_lines else []
    if missing:
        remarks.append(f"labelled, not drawn: {', '.join(missing)}")
    if is_placeholder(patient_id):
        remarks.append("placeholder in Patient ID")
    return "; ".join(remarks) or None


class _First:
    """Which images a partition has accepted."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._digests: set[str] = set()

    def check(self, image_id: str, digest: str) -> None:
        """Add an image, unless it is a copy of one already added, or has the same id."""
        known = self._ids.get(image_id)
        if known == digest:
            raise DuplicateError("same_sop_instance_uid", "in this partition")
        if known is not None:
            raise QuarantinedError(REUSED_UID, "in this partition")
        if digest in self._digests:
            raise DuplicateError("same_pixels", "in this partition")
        self._ids[image_id] = digest
        self._digests.add(digest)


def image_columns(instance: Instance, image: Image) -> dict[str, Any]:
    """The image columns of a row, and the number of `masked_lines`."""
    pixels, rendered, masked_lines = stored_pixels(instance, image)
    height, width = pixels.shape
    spacing = instance.spacing
    return {
        "image": codec.encode(pixels, image.encoding),
        "height": height,
        "width": width,
        "view": instance.view,
        "year": instance.year,
        "scanner": instance.scanner,
        "source_height": instance.rows,
        "source_width": instance.columns,
        "spacing_mm": None if spacing is None else spacing[0] * instance.rows / height,
        "p1": rendered.p1,
        "p50": rendered.p50,
        "p99": rendered.p99,
        "masked_lines": masked_lines,
    }


class _Tables:
    """The tables of an archive, as columns of a row."""

    def __init__(
        self,
        joins: Mapping[str, Join],
        sources: Sources,
        labels: Labels,
        known: Labels,
        instances: Sequence[Instance],
        archive: Archive,
    ) -> None:
        self._joins, self._names, self._known = joins, labels, known
        self._reports = self._labels = self._tubes = None
        if "reports" in joins:
            reader = TextReader(archive.language, archive.scrub_reports)
            self._reports = Reports(joins["reports"], reader)
        if "labels" in joins:
            self._labels = LabelTable(joins["labels"], known)
        if "tubes" in joins:
            given = archive.tubes or sources.tubes
            assert given is not None
            self._tubes = TubeTable(joins["tubes"], given, known, instances)
        self._joined: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()

    @property
    def texts(self) -> TextCounts:
        """What the rules did to the report texts."""
        return self._reports.counts if self._reports else Counter()

    def columns_of(
        self, instance: Instance, prepared: dict[str, Any], image: Image
    ) -> tuple[dict[str, Any], list[str]]:
        """The columns, and the tubes that are labelled but not drawn."""
        texts = self._reports.of(instance) if self._reports else None
        values = self._labels.of(instance) if self._labels else None
        tubes = self._tubes.of(instance) if self._tubes else None
        self._joined.update(
            reports=texts is not None, labels=values is not None, tubes=tubes is not None
        )
        missing = []
        if tubes is None and self._tubes and values and self._without_tubes(values):
            tubes = []
        elif tubes is not None and values:
            drawn = {tube.label for tube in tubes}
            missing = [
                name for name in self._known.tubes if values[name] == 1 and name not in drawn
            ]
            self._missing.update(missing)
            if not tubes and missing:  # their positions are unknown
                tubes = None
        known = values or {}
        others = [
            *zip(other_columns(self._names), self._names.others, strict=True),
            *zip(position_columns(self._names), self._names.positions, strict=True),
        ]
        columns = {
            **(texts or Texts())._asdict(),
            **{finding_column(name): known.get(name) for name in self._names.findings},
            **{tube_column(name): known.get(name) for name in self._names.tubes},
            **{column: known.get(name) for column, name in others},
            "labelled": values is not None,
            "tubes": None if tubes is None else _tubes_json(tubes, instance, prepared, image),
        }
        return columns, missing

    def _without_tubes(self, values: dict[str, int | None]) -> bool:
        """Whether the labels say that there is no tube."""
        absent = (0, None) if self._names.blank == "negative" else (0,)
        return all(values[name] in absent for name in self._known.tubes)

    def report(self, accepted: int) -> None:
        """Print how many images were joined to rows."""
        for name, join in self._joins.items():
            print(
                f"{name}: {self._joined[name]:,} of {accepted:,} images have a row "
                f"(by {', '.join(join.facts.keys)})",
                file=sys.stderr,
            )
            if join.shared_rows:
                print(
                    f"{name}: {join.shared_rows:,} rows have a key that several patients share: "
                    "joined to none",
                    file=sys.stderr,
                )
        if self._tubes and self._tubes.other_labels:
            print(
                f"tubes: {self._tubes.other_labels:,} tubes have a label that labels.tubes "
                "does not name: left out",
                file=sys.stderr,
            )
        for name, images in sorted(self._missing.items()):
            print(
                f"tubes: {images:,} images have the label {name!r} and no drawing of it: those "
                "without any drawing count as not annotated",
                file=sys.stderr,
            )


def _tubes_json(
    tubes: Sequence[Tube], instance: Instance, prepared: dict[str, Any], image: Image
) -> str:
    """Tubes in pixels of the stored image, as JSON (`docs/reference/data-contracts.md`)."""

    def scaled(points: Points) -> list[list[float]]:
        height, width = prepared["height"], prepared["width"]
        return [
            [
                round(position(x, instance.columns, width, image.alignment), 2),
                round(position(y, instance.rows, height, image.alignment), 2),
            ]
            for x, y in points
        ]

    return json.dumps(
        [
            {"label": tube.label, "area": [scaled(line) for line in tube.lines]}
            if tube.is_area
            else {"label": tube.label, "points": scaled(tube.lines[0])}
            for tube in tubes
        ],
        separators=(",", ":"),
    )
