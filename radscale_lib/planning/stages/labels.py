"""Labels: what sources read from reports, their join, and the audit."""

from collections.abc import Mapping

from radscale_lib.languages import digest_of as headings_digest
from radscale_lib.languages.cues import digest_of as cues_digest
from radscale_lib.languages.phrases import digest_of as phrases_digest
from radscale_lib.planning.scale import archive_images
from radscale_lib.planning.stages.base import START_SECONDS, Slice, Stage, megaimages
from radscale_lib.study.labels import Source
from radscale_lib.study.model import Study

REPORTS_A_SECOND = 500.0
"""At least so many are read by rules, on a core."""
WORDS = 120.0
"""Assumed: words of a report's findings and impression."""
TOKENS_A_WORD = 1.5
ANSWER = 25.0
"""Assumed: tokens that are answered for a label."""
PROMPT = 250.0
"""About: tokens of the instructions, without the labels' definitions."""


def _labels(study: Study, source: Source) -> Slice:
    """What a source is told; definitions of labels are told to models alone."""
    labels = study.labels
    shared = {"labels": labels.columns, "partitions": labels.partitions}
    language = study.institution.language
    if source == "endpoint":
        assert labels.endpoint is not None
        return {
            **shared,
            "definitions": {name: labels.definition(name) for name in labels.columns},
            "model": labels.endpoint.model,
            "characters": labels.endpoint.characters,
            "language": language,
        }
    return {
        **shared,
        "phrases": labels.phrases,
        "language": language,
        "language.headings": headings_digest(language),
        "language.phrases": phrases_digest(language),
        "language.phrases.en": phrases_digest("en"),  # by which labels are named
        "language.cues": cues_digest(language),
    }


def _groups(study: Study) -> Slice:
    labels = study.labels
    return {
        **{group: getattr(labels, group) for group in labels.groups},
        "sources": labels.sources,
    }


def _joined(study: Study) -> Slice:
    labels = study.labels
    return {
        **_groups(study),
        "source": labels.source,
        "test_source": labels.test_source,
        "least": labels.audit.least,
        "below": labels.audit.below,
        "smallest_cell": study.smallest_cell("institution"),
    }


def _sample(study: Study) -> Slice:
    labels = study.labels
    return {
        **_groups(study),
        "definitions": {name: labels.definition(name) for name in labels.columns},
        "reports": labels.audit.reports,
        "seed": labels.audit.seed,
    }


def _audit(study: Study) -> Slice:
    return {**_groups(study), "smallest_cell": study.smallest_cell("institution")}


def reports_to_read(study: Study) -> float:
    """About how many reports the institution's archive has: one for each image, at most."""
    return float(archive_images(study))


def tokens(study: Study, reports: float) -> tuple[float, float]:
    """Tokens that are sent to an endpoint, and answered, for some reports."""
    labels = study.labels
    words = sum(len((labels.definition(name) or name).split()) + 2 for name in labels.columns)
    sent = reports * (PROMPT + TOKENS_A_WORD * (WORDS + words))
    return sent, reports * ANSWER * len(labels.columns)


def _seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    reports = reports_to_read(study) / study.labels.partitions
    if names["source"] == "rules" or study.labels.endpoint is None:
        return START_SECONDS + reports / REPORTS_A_SECOND
    return START_SECONDS + sum(tokens(study, reports)) / study.labels.endpoint.tokens_per_second


def _minutes(study: Study) -> float:
    seconds = [_seconds(study, {"source": source}, 1.0) for source in study.labels.readers]
    return 15 + 2 * max(seconds, default=0.0) / 60


STAGES = {
    "labels": Stage(
        script="read_labels.py",
        reads=_labels,
        megabytes=lambda study: 1500 + 4000 * megaimages(study),
        minutes=_minutes,
        seconds=_seconds,
    ),
    "joined_labels": Stage(
        script="join_labels.py",
        reads=_joined,
        megabytes=lambda study: 1500 + 4000 * megaimages(study),
    ),
    "audit_sample": Stage(
        script="sample_labels.py",
        reads=_sample,
        megabytes=lambda study: 1500 + 4000 * megaimages(study),
    ),
    "audit": Stage(
        script="audit_labels.py",
        reads=_audit,
        megabytes=lambda study: 1500 + 4000 * megaimages(study),
    ),
}
