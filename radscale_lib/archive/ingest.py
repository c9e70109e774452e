"""One partition of an archive: from its listing to a shard, an index and a ledger."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radscale_lib.archive.grey import render
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.instance import Instance, instance_of
from radscale_lib.archive.ledger import Account, write_index, write_ledger
from radscale_lib.archive.listing import NOT_A_FILE, read_listing
from radscale_lib.archive.outcomes import DuplicateError, QuarantinedError, RefusedError
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.archive.progress import Progress
from radscale_lib.archive.resize import position, resize, stored_size
from radscale_lib.archive.selection import check_selected, facts_of
from radscale_lib.archive.tables import LabelTable, Reports, Tube, TubeTable
from radscale_lib.pseudonyms import pseudonym
from radscale_lib.shards import png
from radscale_lib.shards.schema import finding_column, tube_column
from radscale_lib.shards.writer import open_shard
from radscale_lib.study.archive import Archive, Image, Labels, Select


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
) -> Counter[str]:
    """Turn the files of a listing into a shard, and account for each of them.

    A defective file costs itself and nothing else.

    Args:
        archive: selection and image preparation.
        labels: label names of the study.
        key: secret key of the pseudonyms.
        stage: the stage id, kept in the shard's metadata.
        listing: the partition's listing.
        sources: the DICOM folder and the tables.
        outputs: the files to write.

    Returns:
        Number of files by outcome.

    Raises:
        ListingError: if the listing is damaged.
        TableError: if a table cannot be used.
    """
    accounts = [Account(entry) for entry in read_listing(listing)]
    with quiet_pydicom():
        progress = Progress("headers", len(accounts))
        selected: list[tuple[Account, Instance]] = []
        for account in accounts:
            with _recorded(account):
                selected.append((account, _inspect(sources.dicom, account, archive.select)))
            progress.step()
        tables = _Tables(sources, labels, [instance for _, instance in selected])
        progress = Progress("images", len(selected))
        accepted: set[str] = set()
        with open_shard(outputs.shard, labels, stage) as writer:
            for account, instance in selected:
                with _recorded(account):
                    image_id = pseudonym(key, "image", instance.sop_instance_uid)
                    if image_id in accepted:
                        raise DuplicateError("same_sop_instance_uid", "in this partition")
                    prepared = _prepare(instance, archive.image)
                    ids = {
                        "image_id": image_id,
                        "study_id": pseudonym(key, "study", instance.study_instance_uid),
                        "patient_id": pseudonym(key, "patient", instance.patient_id),
                    }
                    joined = tables.columns_of(instance, prepared, archive.image)
                    account.row = writer.append(ids | prepared | joined)
                    account.outcome = "accepted"
                    accepted.add(image_id)
                progress.step()
    write_index(outputs.index, accounts)
    write_ledger(outputs.ledger, accounts, outputs.shard.name, key)
    tables.report(len(accepted))
    return Counter(str(account.outcome) for account in accounts)


@contextmanager
def _recorded(account: Account) -> Iterator[None]:
    """Write a refusal of the block to the account; any other error is a defect of the file."""
    try:
        yield
    except RefusedError as refused:
        account.outcome = refused.outcome
        account.reason, account.detail = refused.reason, refused.detail
    except Exception as error:
        # The text of a foreign exception can hold values of the file: only its kind is kept.
        account.outcome = "quarantined"
        account.reason, account.detail = "unexpected", type(error).__name__


def _inspect(folder: Path, account: Account, select: Select) -> Instance:
    if account.entry.size == NOT_A_FILE:
        raise QuarantinedError("unreadable", "no readable file or folder")
    header = read_header(folder / account.entry.path)
    account.facts = facts_of(header)
    check_selected(header, account.facts, select)
    assert account.facts.view is not None
    return instance_of(header, account.facts.view)


def _prepare(instance: Instance, image: Image) -> dict[str, Any]:
    """The image columns of a row."""
    rendered = render(stored_patterns(instance), instance.grey, image.window)
    height, width = stored_size(
        instance.rows, instance.columns, image.shorter_side, instance.aspect
    )
    grey = resize(rendered.grey, height, width, image.alignment)
    spacing = instance.spacing
    return {
        "image": png.encode((grey.clip(0, 255) + 0.5).astype("uint8")),
        "height": height,
        "width": width,
        "view": instance.view,
        "source_height": instance.rows,
        "source_width": instance.columns,
        "spacing_mm": None if spacing is None else spacing[0] * instance.rows / height,
        "p1": rendered.p1,
        "p50": rendered.p50,
        "p99": rendered.p99,
    }


class _Tables:
    """The tables of an archive, as columns of a row."""

    def __init__(self, sources: Sources, labels: Labels, instances: Sequence[Instance]) -> None:
        self._names = labels
        self._reports = Reports(sources.reports, instances) if sources.reports else None
        self._labels = LabelTable(sources.labels, labels, instances) if sources.labels else None
        self._tubes = TubeTable(sources.tubes, labels, instances) if sources.tubes else None
        self._joined: Counter[str] = Counter()

    def columns_of(
        self, instance: Instance, prepared: dict[str, Any], image: Image
    ) -> dict[str, Any]:
        texts = self._reports.of(instance) if self._reports else None
        values = self._labels.of(instance) if self._labels else None
        tubes = self._tubes.of(instance) if self._tubes else None
        self._joined.update(
            reports=texts is not None, labels=values is not None, tubes=tubes is not None
        )
        if tubes is None and self._tubes and values and self._without_tubes(values):
            tubes = []
        known = values or {}
        return {
            "findings": texts.findings if texts else None,
            "impression": texts.impression if texts else None,
            **{finding_column(name): known.get(name) for name in self._names.findings},
            **{tube_column(name): known.get(name) for name in self._names.tubes},
            "labelled": values is not None,
            "tubes": None if tubes is None else _scaled(tubes, instance, prepared, image),
        }

    def _without_tubes(self, values: dict[str, int | None]) -> bool:
        """Whether the labels say that there is no tube to draw."""
        absent = (0, None) if self._names.blank == "negative" else (0,)
        return all(values[name] in absent for name in self._names.tubes)

    def report(self, accepted: int) -> None:
        """Say how many images found their rows."""
        for name, table in (
            ("reports", self._reports),
            ("labels", self._labels),
            ("tubes", self._tubes),
        ):
            if table is not None:
                print(
                    f"{name}: {self._joined[name]:,} of {accepted:,} images have a row "
                    f"(by {table.key})",
                    file=sys.stderr,
                )
        if self._tubes and self._tubes.other_labels:
            print(
                f"tubes: {self._tubes.other_labels:,} polylines have a label that labels.tubes "
                "does not name: left out",
                file=sys.stderr,
            )


def _scaled(
    tubes: Sequence[Tube], instance: Instance, prepared: dict[str, Any], image: Image
) -> str:
    """Polylines in pixels of the stored image, as JSON."""
    return json.dumps(
        [
            {
                "label": tube.label,
                "points": [
                    [
                        round(position(x, instance.columns, prepared["width"], image.alignment), 2),
                        round(position(y, instance.rows, prepared["height"], image.alignment), 2),
                    ]
                    for x, y in tube.points
                ],
            }
            for tube in tubes
        ],
        separators=(",", ":"),
    )
