"""Labels: what sources read from reports, their join, and the audit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from radscale_lib.planning.scale import archive_images
from radscale_lib.planning.stages.base import START_SECONDS, Slice, Stage, megaimages, reading_of
from radscale_lib.study.labels import MOST_LABELS, Source
from radscale_lib.study.model import Study

REPORTS_A_SECOND = 500.0
"""Lower bound on reports per second that rules read on a core."""
WORDS = 120.0
"""Assumed number of words in a report's findings and impression."""
TOKENS_A_WORD = 1.5
ANSWER = 25.0
"""Assumed number of tokens in the answer for a label."""
PROMPT = 250.0
"""Approximate number of tokens in the instructions, without the label definitions."""


def _labels(study: Study, source: Source) -> Slice:
    """The settings that a source reads; only models read the definitions of labels."""
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
    return {**shared, "phrases": labels.phrases, **reading_of(language)}


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


@dataclass(frozen=True)
class Asked:
    """Approximate volume and cost of the requests to an endpoint.

    Attributes:
        reports: number of reports sent.
        requests: number of requests, each for a group of labels.
        sent: tokens.
        answered: tokens.
        hours: at `labels.endpoint.tokens_per_second`.
        cost: by `labels.endpoint.price`, in its currency.
        currency: name of the currency in the study.
    """

    reports: float
    requests: float
    sent: float
    answered: float
    hours: float
    cost: float
    currency: str

    def told(self) -> str:
        """A summary in one line."""
        cost = f", {self.cost:,.2f} {self.currency}" if self.cost else ""
        return (
            f"about {self.reports:,.0f} reports in {self.requests:,.0f} requests, {self.sent:,.0f} "
            f"tokens sent and {self.answered:,.0f} answered, {self.hours:.3g} h{cost}; what was "
            "answered before is not requested again"
        )


def asked(study: Study, reports: float | None = None, words: float = WORDS) -> Asked:
    """Estimate the requests to the study's endpoint.

    Args:
        study: with `labels.endpoint`.
        reports: number of reports sent; None: one per image of the archive, which is the maximum.
        words: number of words per report.
    """
    labels = study.labels
    endpoint = labels.endpoint
    assert endpoint is not None
    count = float(archive_images(study)) if reports is None else reports
    each = math.ceil(len(labels.columns) / MOST_LABELS)
    defined = sum(len((labels.definition(name) or name).split()) + 2 for name in labels.columns)
    sent = count * (each * (PROMPT + TOKENS_A_WORD * words) + TOKENS_A_WORD * defined)
    answered = count * ANSWER * len(labels.columns)
    price = endpoint.price
    return Asked(
        reports=count,
        requests=count * each,
        sent=sent,
        answered=answered,
        hours=(sent + answered) / endpoint.tokens_per_second / 3600,
        cost=(sent * price.input + answered * price.output) / 1e6,
        currency=price.currency,
    )


def _seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    parts = study.labels.partitions
    if names["source"] == "rules" or study.labels.endpoint is None:
        return START_SECONDS + archive_images(study) / parts / REPORTS_A_SECOND
    return START_SECONDS + asked(study).hours * 3600 / parts


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
