"""A sample of reports for a person to read, and scores of each source's labels against it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from radscale_lib.labels.agreement import SCHEMA, compare
from radscale_lib.labels.join import LabelsError
from radscale_lib.labels.states import MISSING, NAMES, NOT_MENTIONED, STATES
from radscale_lib.study.archive import Labels

SAMPLE = pl.Schema(
    {
        "study_id": pl.String,
        "label": pl.String,
        "definition": pl.String,
        "weight": pl.Float64,
        "findings": pl.String,
        "impression": pl.String,
        "answer": pl.String,
    }
)
"""Columns of `labels/audit/sample.csv`; a person fills in `answer`."""
ANSWERS = {name: state for name, state in STATES.items() if state != MISSING}
_SHORT = {
    **{"1": "present", "0": "absent", "-1": "uncertain"},
    **{name[0]: name for name in ANSWERS},
    "not mentioned": "not_mentioned",
}


def draw(labels: Labels, catalog: Path, found: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Draw reports to read: for each label, some of every state and of sources' disagreements.

    A stratum is a state by the first source that reads reports, combined with whether another
    source disagrees. Strata with disagreement or uncertainty are small but drawn as often as the
    others, so rows have weights: the number of the stratum's studies per drawn one. The sample does
    not show what the sources say, in order not to influence the reader.

    Args:
        labels: the study's labels.
        catalog: `catalog.parquet`, for the texts.
        found: the states by source (`join.known_states`).

    Returns:
        Columns of `SAMPLE`, in random order.

    Raises:
        LabelsError: if no report was read.
    """
    if found[labels.readers[0]].is_empty():
        raise LabelsError(
            "no report of this archive could be read: there is nothing to draw: has the archive "
            "reports, and in the language that it declares (texts.parquet)?"
        )
    rows = pl.concat(
        [_of_label(_strata(labels, label, found), label, labels) for label in labels.columns]
    )
    texts = (
        pl.scan_parquet(catalog)
        .select("study_id", *(pl.col(n).fill_null("") for n in ("findings", "impression")))
        .unique("study_id", keep="any")
        .collect()
    )
    return (
        rows.join(texts, on="study_id", how="left")
        .with_columns(order=_shuffled("order", labels))
        .sort("label", "order")
        .with_columns(answer=pl.lit(""))
        .select(SAMPLE.names())
    )


def read_filled(path: Path, labels: Labels) -> pl.DataFrame:
    """Read study_id, label and answered state from a filled sample; its weights are ignored.

    Raises:
        LabelsError: naming file, row and problem, but no cell's text.
    """
    try:
        content = path.read_bytes()
        separator = ";" if content.split(b"\n", 1)[0].count(b";") > 2 else ","
        table = pl.read_csv(content, separator=separator, infer_schema=False).with_columns(
            pl.all().fill_null("")
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise LabelsError(
            f"{path}: cannot be read ({type(error).__name__}): give the table that `snakemake "
            "audit_labels` draws, filled, as CSV in UTF-8"
        ) from None
    wanted = ("study_id", "label", "answer")
    if lacking := [name for name in wanted if name not in table.columns]:
        raise LabelsError(
            f"{path}: no column {lacking[0]!r}: leave the sample's columns as they are"
        )
    rows, seen = [], set()
    for number, row in enumerate(table.select(wanted).iter_rows(named=True), 2):
        answer = row["answer"].strip().lower()
        answer = _SHORT.get(answer, answer)
        where = f"{path}: row {number}"
        if not answer:
            continue
        if answer not in ANSWERS:
            raise LabelsError(f"{where}: answer: write one of {', '.join(ANSWERS)}, or nothing")
        if row["label"] not in labels.columns:
            raise LabelsError(f"{where}: label: none of the study's: {', '.join(labels.columns)}")
        if (row["study_id"], row["label"]) in seen:
            raise LabelsError(
                f"{where}: study_id: answered for this label in an earlier row: remove one"
            )
        seen.add((row["study_id"], row["label"]))
        rows.append((row["study_id"], row["label"], ANSWERS[answer]))
    if not rows:
        raise LabelsError(f"{path}: it contains no answer: fill in the column 'answer'")
    schema = {"study_id": pl.String, "label": pl.String, "true": pl.Int8}
    return pl.DataFrame(rows, schema=schema, orient="row")


def score(
    labels: Labels,
    filled: pl.DataFrame,
    found: Mapping[str, pl.DataFrame],
    smallest_cell: int = 1,
) -> pl.DataFrame:
    """Agreement, precision and recall of each source and label against the answers.

    An answer also represents the unanswered studies of its stratum (`draw`), according to the
    sources' present states.

    Returns:
        Columns of `agreement.SCHEMA`, with the reference `audit`.

    Raises:
        LabelsError: if the answers are about other studies.
    """
    known = pl.concat(table.select("study_id") for table in found.values()).unique()
    strange = filled.join(known, on="study_id", how="anti").height
    if strange:
        raise LabelsError(
            f"{strange} of {filled.height} answers are of studies that this archive does not have: "
            "was the sample drawn from another archive, or with another key?"
        )
    rows = []
    weights = {
        label: _weights(_strata(labels, label, found), filled.filter(pl.col("label") == label))
        for label in labels.columns
    }
    for source, table in found.items():
        for label in labels.columns:
            pairs = (
                filled.filter(pl.col("label") == label)
                .join(table.select("study_id", found=pl.col(label)), on="study_id")
                .join(weights[label], on="study_id")
            )
            rows.append(compare(pairs, label, source, "audit", smallest_cell))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def below_least(labels: Labels, audited: pl.DataFrame) -> list[tuple[str, str]]:
    """Labels that the first source reading reports does not read well enough, and why.

    The lower end of the interval must reach the requirement, so that a few answers are not enough;
    a value that cannot be computed also fails.
    """
    least = labels.audit.least
    if not labels.readers or not (least.precision or least.recall):
        return []
    found = []
    for row in audited.filter(pl.col("source") == labels.readers[0]).iter_rows(named=True):
        wrong = [
            f"{name} {_figure(row, name)} (of {wanted:g})"
            for name, wanted in least.model_dump().items()
            if wanted and (row[name] is None or row[f"{name}_lower"] < wanted)
        ]
        if wrong:
            found.append((row["label"], " and ".join(wrong)))
    return found


def _figure(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return "unknown"
    return f"{row[name]:.2f}, at least {row[f'{name}_lower']:.2f}"


def _strata(labels: Labels, label: str, found: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The stratum of each study read by the first source that reads reports."""
    first = labels.readers[0]
    table = found[first].select("study_id", state=pl.col(label))
    differs = pl.lit(False)
    for source in (source for source in found if source != first):
        table = table.join(
            found[source].select("study_id", pl.col(label).alias(source)), on="study_id", how="left"
        )
        differs = differs | (_told(source) != _told("state")).fill_null(False)
    return table.with_columns(stratum=2 * pl.col("state").cast(pl.Int16) + differs)


def _weights(strata: pl.DataFrame, answered: pl.DataFrame) -> pl.DataFrame:
    """Number of a stratum's studies per answered one: study_id, weight."""
    answered = strata.join(answered.select("study_id"), on="study_id")
    counts = answered.group_by("stratum").len("answered")
    sizes = strata.group_by("stratum").len("studies")
    return (
        answered.join(sizes, on="stratum")
        .join(counts, on="stratum")
        .select("study_id", weight=pl.col("studies") / pl.col("answered"))
    )


def _of_label(table: pl.DataFrame, label: str, labels: Labels) -> pl.DataFrame:
    """The studies to read for a label: equally many of each stratum, while there are any."""
    sizes = dict(table["stratum"].value_counts().sort("count", "stratum").iter_rows())
    left, taken = labels.audit.reports, dict[int, int]()
    for place, (stratum, size) in enumerate(sizes.items()):
        taken[stratum] = min(size, left // (len(sizes) - place))
        left -= taken[stratum]
    ranked = table.with_columns(key=_shuffled(label, labels)).sort("key")
    drawn = [
        ranked.filter(pl.col("stratum") == stratum)
        .head(count)
        .select("study_id", weight=pl.lit(sizes[stratum] / count))
        for stratum, count in taken.items()
        if count
    ]
    return pl.concat(drawn).select(
        "study_id",
        "weight",
        label=pl.lit(label),
        definition=pl.lit(labels.definition(label) or label),
    )


def _told(column: str) -> pl.Expr:
    """A state in which denied and not mentioned are the same."""
    return pl.col(column).replace(NOT_MENTIONED, STATES["absent"])


def _shuffled(what: str, labels: Labels) -> pl.Expr:
    """A number for each study that orders studies at random, determined by the seed."""

    def number(study: str) -> int:
        key = f"{labels.audit.seed}/{what}/{study}".encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:7])

    return pl.col("study_id").map_elements(number, return_dtype=pl.Int64)


STATE_NAMES = tuple(NAMES[state] for state in (1, 0, -1, -2))
"""Answers, as a page offers them."""
