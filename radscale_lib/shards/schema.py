"""Columns of a shard, and the names of its label columns."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from radscale_lib.study.archive import Labels

VERSION = "1"
ROW_GROUP = 64
"""Rows per row group, the unit read for one image without an index (`docs/hospital/ingest.md`)."""


def finding_column(name: str) -> str:
    """Column of a finding's label."""
    return f"finding:{name}"


def tube_column(name: str) -> str:
    """Column of a tube's label."""
    return f"tube:{name}"


def label_columns(labels: Labels) -> list[str]:
    """Every label column of the study: findings, then tubes."""
    return [finding_column(name) for name in labels.findings] + [
        tube_column(name) for name in labels.tubes
    ]


def position_columns(labels: Labels) -> list[str]:
    """Columns of tube positions, which are not used in training."""
    return [f"position:{name}" for name in labels.positions]


def other_columns(labels: Labels) -> list[str]:
    """Columns of the labels whose presence forbids "no finding"."""
    return [f"other:{name}" for name in labels.others]


def shard_schema(labels: Labels, demographics: Sequence[str] = ()) -> pa.Schema:
    """Schema of the shards of a study (`docs/reference/data-contracts.md`).

    Args:
        labels: label names of the study.
        demographics: columns of the patient that the archive keeps.
    """
    required = {"nullable": False}
    fields = [
        pa.field("image_id", pa.string(), **required),
        pa.field("study_id", pa.string(), **required),
        pa.field("patient_id", pa.string(), **required),
        pa.field("image", pa.binary(), **required),
        pa.field("image_digest", pa.string(), **required),
        pa.field("height", pa.int32(), **required),
        pa.field("width", pa.int32(), **required),
        pa.field("view", pa.string(), **required),
        pa.field("year", pa.int16()),
        pa.field("scanner", pa.string()),
        *(pa.field(name, pa.string()) for name in demographics),
        pa.field("source_height", pa.int32(), **required),
        pa.field("source_width", pa.int32(), **required),
        pa.field("spacing_mm", pa.float64()),
        pa.field("p1", pa.float32(), **required),
        pa.field("p50", pa.float32(), **required),
        pa.field("p99", pa.float32(), **required),
        pa.field("findings", pa.string()),
        pa.field("impression", pa.string()),
        pa.field("indication", pa.string()),
        pa.field("comparison", pa.string()),
        *(pa.field(name, pa.int8()) for name in label_columns(labels) + other_columns(labels)),
        *(pa.field(name, pa.int8()) for name in position_columns(labels)),
        pa.field("labelled", pa.bool_(), **required),
        pa.field("tubes", pa.string()),
        pa.field("digest", pa.string(), **required),
    ]
    return pa.schema(fields)


def image_digest(image: bytes) -> str:
    """SHA-256 of an encoded image, first 32 hex digits: equal for equal stored pixels."""
    return hashlib.sha256(image).hexdigest()[:32]


def row_digest(row: Mapping[str, Any]) -> str:
    """Digest of a row's content for training: image bytes, texts, labels and tubes.

    SHA-256 of the image's SHA-256 and the other values as canonical JSON, first 32 hex digits.
    """
    seen = {
        column: value
        for column, value in row.items()
        if column in {"findings", "impression", "labelled", "tubes"}
        or column.startswith(("finding:", "tube:", "other:"))
    }
    content = json.dumps(seen, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    image = hashlib.sha256(row["image"]).digest()
    return hashlib.sha256(image + content.encode()).hexdigest()[:32]
