"""Check archives: their folders, keys, and a sample of their headers."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from radscale_lib.files import read_json
from radscale_lib.preflight.finding import Finding
from radscale_lib.provenance.manifest import components_file, path_of, read_manifest
from radscale_lib.pseudonyms import KeyMissingError, key_fingerprint, key_weakness, read_key
from radscale_lib.study.archive import Archive
from radscale_lib.study.model import Study

MOST_HEADERS = 200
"""Maximum number of headers read per archive."""
FOLDERS = 2000
"""Maximum number of folders opened to find them."""


def archive_findings(study: Study) -> Iterator[Finding]:
    """Archives that overlap, and archives without a usable file in the sample."""
    yield from _overlap(study)
    for name, archive in study.archives.items():
        if archive.ingested:
            continue
        if archive.dicom is not None and archive.dicom.is_dir():
            listing = study.folder / "data" / name / "listing"
            yield from _sample_findings(study.key_of(name), archive, listing)
        yield from _key_findings(name, study.key_of(name), archive, study.folder)


def _key_findings(name: str, place: str, archive: Archive, study: Path) -> Iterator[Finding]:
    """A weak key stops a new archive; it is only a note for one already ingested with it.

    A key other than the one used at ingest also stops the study.
    """
    if archive.phantom is not None:
        return
    try:
        key = read_key(archive)
    except KeyMissingError as error:
        if archive.key_file is not None and archive.key_file.is_file():
            yield Finding(f"{place}.key_file: {error}")
        return  # missing files are reported with the study's paths
    now, before = key_fingerprint(key), _former_key(name, study)
    if before not in (None, now):
        yield Finding(
            f"{place}.key_file: the key has the fingerprint {now}, and the archive was ingested "
            f"with one of fingerprint {before}: another key gives other pseudonyms and results: "
            f"restore the former key, or delete {study / 'data' / name} to ingest again"
        )
    problem = key_weakness(archive, key)
    if problem:
        from radscale_lib.archive.keyed import was_keyed  # loads polars

        folder = study / "data" / name
        used = was_keyed(key, folder / "listing/part=0.tsv", folder / "ledger/part=0.parquet")
        yield Finding(f"{place}.key_file: {problem}", stops=not used)


def _former_key(name: str, study: Path) -> str | None:
    """Fingerprint of the first partition's key at ingest, from its manifest."""
    try:
        manifest = read_manifest(path_of(study, f"ingest/{name}/part=0"))
        there = (study / f"data/{name}/shards/part=0.parquet").exists()
        if manifest is None or not (there or manifest.freed):
            return None
        key: str = json.loads(read_json(components_file(study, manifest.id))["study"]["key"])
    except (OSError, ValueError, KeyError):
        return None
    return key


def _overlap(study: Study) -> Iterator[Finding]:
    """Test archives must not contain files of training archives, by any path."""
    for name, archive in study.archives.items():
        for other, learnt in study.learnt_archives.items():
            if name == other or (name, other) == ("institution", "public"):
                continue
            how = archive.dicom and learnt.dicom and _how_they_overlap(archive.dicom, learnt.dicom)
            if how:
                whose = "the institution's" if other == "institution" else f"{other}'s"
                yield Finding(
                    f"{study.key_of(name)}.dicom: {str(archive.dicom)!r} {how.format(whose)} "
                    f"({str(learnt.dicom and learnt.dicom.resolve())!r}): encoders would have seen "
                    "the test patients: give another archive"
                )


def _how_they_overlap(one: Path, other: Path) -> str | None:
    one, other = one.resolve(), other.resolve()
    if one == other:
        return "is {} folder too"
    if one.is_relative_to(other):
        return "lies in {} folder"
    return "holds {} folder" if other.is_relative_to(one) else None


def sample(folder: Path, listing: Path) -> list[Path]:
    """Sample files of an archive: from its listing, or else the first found.

    Returns:
        At most `MOST_HEADERS` paths. With a listing they are spread over the partitions; without
        one, at most `FOLDERS` folders are opened, and none is read to the end.
    """
    from radscale_lib.archive.listing import read_entry

    parts = sorted(listing.glob("part=*.tsv"))
    if parts:
        each = -(-MOST_HEADERS // len(parts))
        found: list[Path] = []
        for part in parts[:MOST_HEADERS]:
            with part.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
                entries = [
                    read_entry(part, n, line) for n, line in enumerate(islice(lines, each), 1)
                ]
            found += [folder / entry.path for entry in entries if entry.size >= 0]
        return found[:MOST_HEADERS]
    return list(islice(_files(folder), MOST_HEADERS))


def _files(folder: Path) -> Iterator[Path]:
    pending = [folder]
    for _ in range(FOLDERS):
        if not pending:
            return
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_file():
                        yield Path(entry.path)
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
        except OSError:
            continue


def _sample_findings(name: str, archive: Archive, listing: Path) -> Iterator[Finding]:
    from radscale_lib.archive.header import quiet_pydicom, read_header
    from radscale_lib.archive.outcomes import RefusedError
    from radscale_lib.archive.selection import check_selected, facts_of

    files = sample(archive.dicom, listing) if archive.dicom else []
    if not files:
        yield Finding(
            f"{name}.dicom: no file in {str(archive.dicom)!r}: correct the path, or put the files "
            "there"
        )
        return
    reasons: Counter[str] = Counter()
    with quiet_pydicom():
        for path in files:
            try:
                header = read_header(path)
                check_selected(header, facts_of(header), archive.select)
            except RefusedError as error:
                detail = f" ({error.detail})" if error.detail else ""
                reasons[f"{error.reason}{detail}"] += 1
    if reasons.total() == len(files):
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(3))
        yield Finding(
            f"{name}.select: none of {len(files)} files looked at is accepted ({told}): compare "
            f"{name}.select with the archive, or correct {name}.dicom"
        )
