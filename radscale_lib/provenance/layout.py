"""Which job makes which file, as in docs/reference/data-contracts.md."""

import re

_AT = "(?:test_archives/[^/]+/)?"
"""Results of test archives are in separate folders."""
_RESULTS = (
    (r"data/([^/]+)/(phantom|listing|tables)(?:/[^/]+)?", r"\2/\1"),
    (r"data/([^/]+)/(?:index|ledger|shards)/(part=\d+)\.parquet", r"ingest/\1/\2"),
    (r"data/([^/]+)/[^/]+\.parquet", r"catalog/\1"),
    (r"data/([^/]+)/ranges\.arrow", r"ranges/\1"),
    (r"subsets/splits\.parquet", "subsets/card"),
    (r"(subsets/(?:seed=\d+/n=\d+|card))\.parquet", r"\1"),
    # A training also makes its intermediate encoders.
    (r"encoders/([^/@]+)@[^/]+/(n=\d+/seed=\d+)/[^/]+", r"encoders/\1/\2"),
    (r"(encoders/[^/]+/n=\d+/seed=\d+)/[^/]+", r"\1"),
    (_AT + r"features/([^/]+/n=\d+/seed=\d+)/[^/]+", r"predictions/\1"),
    (_AT + r"tasks/[^/]+/([^/]+/n=\d+/seed=\d+)/predictions\.parquet", r"predictions/\1"),
    (_AT + r"tasks/[^/]+/([^/]+/n=\d+/seed=\d+)/[^/]+\.parquet", r"scores/\1"),
    (r"(exports/[^/]+/n=\d+/seed=\d+)(?:/.+)?", r"\1"),
    (r"labels/([a-z]+)/(part=\d+)\.parquet", r"labels/\1/\2"),
    (r"labels/(?:(?:pool|held-out)/[a-z]+|counts|agreement)\.parquet", "labels/joined"),
    (r"labels/audit/(?:sample\.csv|page\.html)", "labels/sample"),
    (r"labels/audit/scores\.parquet", "labels/audit"),
    (r"(?:scores|draws|subgroups|reliability|checkpoints)\.parquet", "scores"),
    (r"(test_archives/[^/]+)/(?:scores|draws|subgroups|reliability)\.parquet", r"\1/scores"),
    (r"((?:test_archives/[^/]+/)?differences)\.parquet", r"\1"),
    (r"((?:test_archives/[^/]+/)?)[^/]+\.parquet", r"\1fits"),
    (r"(?:similarity|tips)/([^/]+)\.parquet", r"similarity/\1"),
    (r"(examples/[^/]+)\.parquet", r"\1"),
    (r"(?:figures|tables)(?:/.+)?", "figures"),
    (r"report\.html", "report"),
)
"""Pattern of a result below the study's folder, and the name of the job that makes it."""


def job_of(result: str) -> str | None:
    """Name of the job that makes a result, which is also the name of its manifest.

    Args:
        result: a file or folder, relative to the study's folder, with slashes.

    Returns:
        A name such as `predictions/rad-dino/n=256/seed=0`; None if no job makes the file.
    """
    for pattern, name in _RESULTS:
        if found := re.fullmatch(pattern, result):
            return found.expand(name)
    return None
