"""Archives: phantom, scan, tables, ingest, catalog, ranges."""

from collections.abc import Mapping

from radscale_lib.languages import digest_of
from radscale_lib.planning.scale import archive_images, shard_bytes
from radscale_lib.planning.stages.base import (
    READ,
    READ_USUALLY,
    START_SECONDS,
    Slice,
    Stage,
    megaimages,
    positions_of,
    without,
)
from radscale_lib.pseudonyms import KeyMissingError, key_fingerprint, read_key
from radscale_lib.study.archive import TABLES, Archive, Labels
from radscale_lib.study.model import Study

MB_PER_MPIXEL = 60
"""Peak memory of decoding one image: stored values, float32 copies, and the resized image."""
SECONDS_PER_MPIXEL = 0.02
"""Assumed speed: one core decodes, resizes and encodes a 5-megapixel radiograph in 0.1 s."""
SOURCE_MPIXELS = 5.0
"""Assumed size of a hospital's radiographs, megapixels."""


def _key(archive: Archive) -> str:
    try:
        return key_fingerprint(read_key(archive))
    except KeyMissingError:
        return "missing"


def _phantom(study: Study, archive: str) -> Slice:
    return {"phantom": study.archives[archive].phantom}


def _scan(study: Study, archive: str) -> Slice:
    return {"partitions": study.archives[archive].partitions}


def _label_columns(labels: Labels) -> Slice:
    """Label columns; studies without other labels keep the ids from before these existed."""
    others = {"labels.others": labels.others} if labels.others else {}
    return {
        "labels.findings": labels.findings,
        "labels.tubes": labels.tubes,
        **others,
        **positions_of(labels),
    }


def _tables(study: Study, archive: str) -> Slice:
    joins, labels = study.archives[archive].joins, study.labels_in(archive)
    return {
        **{f"joins.{name}": without(getattr(joins, name), "most_unmatched") for name in TABLES},
        **_label_columns(labels),
    }


def _ingest(study: Study, archive: str) -> Slice:
    source = study.archives[archive]
    return {
        "select": source.select,
        "image": source.image,
        "scrub_reports": source.scrub_reports,
        "language": source.language,
        "language.rules": digest_of(source.language),
        "partitions": source.partitions,
        "key": _key(source),
        **({"demographics": source.demographics} if source.demographics else {}),
        **_label_columns(study.stored_labels(archive)),
        **_lacking(study, archive),
    }


def _lacking(study: Study, archive: str) -> Slice:
    """Labels that an archive lacks, if any."""
    lacking = [
        name
        for name in study.stored_labels(archive).columns
        if name not in study.labels_in(archive).columns
    ]
    return {"lacking": lacking} if lacking else {}


def _catalog(study: Study, archive: str) -> Slice:
    splits = {"institution": study.splits, "public": None}.get(archive, "test")
    source = study.archives[archive]
    return {
        **(_compared(study, archive) if archive in study.test_archives else {}),
        "splits": splits,
        "partitions": source.partitions,
        "most_quarantined": source.most_quarantined,
        "most_of_one_patient": source.most_of_one_patient,
        "smallest_cell": study.smallest_cell(archive),
        "language": source.language,
        "most_foreign_reports": source.most_foreign_reports,
        **{
            f"joins.{name}.most_unmatched": getattr(source.joins, name).most_unmatched
            for name in TABLES
        },
    }


def _compared(study: Study, archive: str) -> Slice:
    """The properties by which a test archive is compared with training archives."""
    test = study.archives[archive]
    return {
        f"compared.{name}": [_key(test) == _key(other), test.image == other.image]
        for name, other in study.learnt_archives.items()
    }


def _ranges(study: Study) -> Slice:
    return {}


def _phantom_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    phantom = study.archives[names["archive"]].phantom
    return 2 + (phantom.patients * 3 / 80 if phantom else 0)


def _ingest_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    archive = study.archives[names["archive"]]
    if archive.phantom:
        return 2 + archive.phantom.patients * 3 / archive.partitions / 100
    return archive_images(study) / archive.partitions * SOURCE_MPIXELS * SECONDS_PER_MPIXEL


def _ingest_minutes(study: Study) -> float:
    return 10 + archive_images(study) / study.institution.partitions / 60 / 2


STAGES = {
    "phantom": Stage(
        script="make_phantom.py",
        reads=_phantom,
        minutes=lambda study: 20.0,
        seconds=_phantom_seconds,
    ),
    "scan": Stage(
        script="scan.py", reads=_scan, minutes=lambda study: 10 + archive_images(study) / 1e5
    ),
    "tables": Stage(
        script="tables.py",
        reads=_tables,
        megabytes=lambda study: 1500 + 500 * megaimages(study),
        minutes=lambda study: 10 + archive_images(study) / 5e4,
    ),
    "ingest": Stage(
        script="ingest.py",
        reads=_ingest,
        megabytes=lambda study: 1500 + MB_PER_MPIXEL * 20,
        minutes=_ingest_minutes,
        seconds=_ingest_seconds,
    ),
    "catalog": Stage(
        script="catalog.py",
        reads=_catalog,
        megabytes=lambda study: 1500 + 500 * megaimages(study),
        minutes=lambda study: 10 + archive_images(study) / 1e5,
    ),
    "ranges": Stage(
        script="index_shards.py",
        reads=_ranges,
        minutes=lambda study: 10 + shard_bytes(study) / READ / 60,
        seconds=lambda study, names, rate: START_SECONDS + shard_bytes(study) / READ_USUALLY,
    ),
}
