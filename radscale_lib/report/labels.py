"""Where labels come from, how reliable they are, and what that means for scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from radscale_lib.report.words import listed, number
from radscale_lib.study import Study

SOURCES = {
    "table": "the archive's table of labels",
    "rules": "rules that read the reports",
    "endpoint": "a language model that read the reports",
}
STATES = ("present", "uncertain", "absent", "not_mentioned", "missing")


def labels_section(study: Study, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """The section on labels; nothing for a study without any.

    Args:
        study: the study.
        tables: `counts` and `agreement` if labels were read from reports, and `audit` if there was
            one.
    """
    if not study.labels.columns or not study.has_labels("institution"):
        return {}
    agreement = [tables[name] for name in ("agreement", "audit") if name in tables]
    return {
        "sentences": list(sentences(study)),
        "counts": _counts(tables["counts"]) if "counts" in tables else [],
        "agreement": [row for table in agreement for row in _agreement(table)],
    }


def sentences(study: Study) -> Iterator[str]:
    """Sentences on the origin of labels, and what follows for the scores."""
    labels = study.labels
    names = [_source(study, source) for source in labels.source]
    yield f"Labels come from {', else '.join(names)}."
    if labels.test_source is not None:
        yield f"Those of the test patients come from {_source(study, labels.test_source)}."
    if labels.endpoint is not None and labels.endpoint.texts_leave_institution:
        yield (
            "The texts of reports, scrubbed by rules, were sent to a server that may lie outside "
            "of the institution (labels.endpoint.texts_leave_institution)."
        )
    if any(task.needs == "labels" for task in study.evaluation.tasks.values()):
        yield from _honesty(study)


def _honesty(study: Study) -> Iterator[str]:
    """A sentence on whether test labels come from the same kind of texts as an arm's training."""
    labels = study.labels
    taught = {
        name: arm.supervision for name, arm in study.arms.items() if "reports" in arm.supervision
    }
    read = {name for name, arm in study.arms.items() if "labels" in arm.supervision}
    tested = (labels.test_source,) if labels.test_source else labels.source
    by_reading = [source for source in tested if source in labels.readers]
    arms = listed(dict.fromkeys([*taught, *sorted(read)]))
    if by_reading and arms:
        yield (
            f"The test labels were read from reports of the same kind as those that taught {arms}: "
            "what an arm learnt about the wording of these reports counts as knowledge of the "
            "images, which flatters it compared with arms that learn from images alone. "
            "labels.test_source: table tests on labels that were not read from reports."
        )
    elif by_reading:
        yield (
            "The test labels were read from reports, not from the images: what reports leave out "
            "or get wrong counts against every encoder."
        )
    elif study.institution.phantom is not None:
        yield "The phantom's films were made from the test labels, which are exact."
    elif arms:
        yield (
            "It is not known whether the table of test labels was itself made from the reports. "
            f"If it was, it flatters the arms that learnt from reports or labels ({arms}) compared "
            "with those that learnt from images alone."
        )


def _source(study: Study, source: str) -> str:
    if source == "endpoint" and study.labels.endpoint is not None:
        return f"{SOURCES[source]} ({study.labels.endpoint.model})"
    return SOURCES[source]


def _counts(counts: pl.DataFrame) -> list[dict[str, Any]]:
    """Studies by state, for each source and label."""
    rows = []
    for (source, label), of in counts.group_by("source", "label", maintain_order=True):
        found = dict(of.select("state", "studies").iter_rows())
        shown = ["few" if found[state] is None else f"{found[state]:,}" for state in STATES]
        rows.append({"source": source, "label": label, "counts": shown})
    return rows


def _agreement(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for row in table.iter_rows(named=True):
        if row["studies"] is None:
            continue
        yield {
            "label": row["label"],
            "source": row["source"],
            "reference": row["reference"],
            "studies": f"{row['studies']:,}",
            "shares": [
                "–"
                if row[name] is None
                else f"{number(row[name])} ({number(row[f'{name}_lower'])} to "
                f"{number(row[f'{name}_upper'])})"
                for name in ("agreement", "precision", "recall")
            ],
            "kappa": number(row["kappa"]),
        }
