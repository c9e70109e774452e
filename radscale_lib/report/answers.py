"""The three questions that a study answers, from its verdicts and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from radscale_lib.report.words import format_count, interval, number, task_title
from radscale_lib.scaling.stated import CONTINUING, LABELS
from radscale_lib.study import Study

WORDS = {
    "supported": "Yes",
    "contradicted": "No",
    "undecided": "Not shown",
    "not testable": "Not tested",
}
"""What a verdict answers."""


@dataclass(frozen=True)
class Answer:
    """A question and what the study says to it.

    Attributes:
        question: as a reader would ask it.
        word: `Yes`, `No`, `Mixed`, `Not shown` or `Not tested`.
        number: the difference with its interval; empty where nothing was tested.
        what: what the number is.
        counts: in how many cases it holds surely, and how many chance alone would decide.
    """

    question: str
    word: str
    number: str = ""
    what: str = ""
    counts: str = ""


def answers(study: Study, verdicts: pl.DataFrame) -> list[Answer]:
    """Continue on your own data? Add labels? Add images?

    Args:
        study: the study.
        verdicts: the verdicts table.
    """
    macro = verdicts.filter((pl.col("target") == "macro") & (pl.col("kind") != "stated"))
    largest = f"{format_count(study.subsets.sizes[-1])} images"
    continuing = _stated(
        "Continue on your own data?",
        verdicts,
        CONTINUING,
        f"difference from the open weights at each arm’s largest size, up to {largest}: mean "
        "over arms, then over tasks",
        _counted("surely ahead", "surely behind", "arm-task pairs", _rows(macro, "overtakes")),
    )
    labels = _stated(
        "Add labels?",
        verdicts,
        LABELS,
        "difference of reports and labels from reports alone at the largest size: mean over pairs "
        "of arms, then over tasks",
        _counted(
            "surely ahead with labels", "surely behind", "comparisons", label_comparisons(verdicts)
        ),
    )
    return [continuing, labels, _more_images(study, _rows(macro, "gains"))]


def _rows(macro: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    return macro.filter(pl.col("kind") == kind).rows(named=True)


def _stated(question: str, verdicts: pl.DataFrame, claim: str, what: str, counts: str) -> Answer:
    row = next(verdicts.filter(kind="stated", claim=claim).iter_rows(named=True), None)
    if row is None or row["verdict"] == "not testable":
        return Answer(question, WORDS["not testable"], what=row["text"] if row else "")
    shown = interval(row["value"], row["lower"], row["upper"], sign=True)
    return Answer(question, WORDS[row["verdict"]], shown, what, counts)


def label_comparisons(verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    """Reports and labels against reports alone, on whole tasks at the largest size.

    Returns:
        Rows of verdicts in favour of labels: `arm` has them, `other` has not.
    """
    claim = verdicts.filter(kind="stated", claim=LABELS)
    if claim.is_empty() or claim["arm"][0] is None or claim["other"][0] is None:
        return []
    better, than = (set(claim[name][0].split(", ")) for name in ("arm", "other"))
    pairs = verdicts.filter((pl.col("kind") == "ahead") & (pl.col("target") == "macro"))
    largest = pairs.filter(pl.col("size") == pl.col("size").max().over("arm", "other", "task"))
    rows = []
    for row in largest.iter_rows(named=True):
        if row["arm"] in better and row["other"] in than:
            rows.append(row)
        elif row["arm"] in than and row["other"] in better:
            rows.append(_turned(row))
    share = len(rows) / max(len(pairs), 1)
    return [row | {"expected_by_chance": _scaled(row, share)} for row in rows]


def _turned(row: dict[str, Any]) -> dict[str, Any]:
    """The same comparison, seen from the other arm."""
    verdicts = {"supported": "contradicted", "contradicted": "supported"}

    def minus(name: str) -> float | None:
        return None if row[name] is None else -row[name]

    return row | {
        "arm": row["other"],
        "other": row["arm"],
        "verdict": verdicts.get(row["verdict"], row["verdict"]),
        "value": minus("value"),
        "lower": minus("upper"),
        "upper": minus("lower"),
    }


def _scaled(row: Mapping[str, Any], share: float) -> float | None:
    expected = row["expected_by_chance"]
    return None if expected is None else expected * share


def _counted(yes: str, no: str, unit: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """How many are decided either way, of how many, and how many chance alone would decide."""
    tested = [row for row in rows if row["verdict"] != "not testable"]
    if not tested:
        return ""
    supported, contradicted = (
        sum(row["verdict"] == verdict for row in tested)
        for verdict in ("supported", "contradicted")
    )
    against = f", {no} in {contradicted}" if contradicted else ""
    chance = tested[0]["expected_by_chance"]
    expected = "" if chance is None else f"; about {number(chance, 1)} expected by chance"
    return f"{yes} in {supported} of {len(tested)} {unit}{against}{expected}"


def _more_images(study: Study, rows: list[dict[str, Any]]) -> Answer:
    """The gain of more images is a verdict of each curve: the largest one shown is named."""
    question, horizon = "Add images?", f"{study.scaling.horizon:g} × the images"
    tested = [row for row in rows if row["verdict"] != "not testable"]
    if not tested:
        return Answer(question, WORDS["not testable"], what="no curve could be fitted")
    found = {row["verdict"] for row in tested} & {"supported", "contradicted"}
    word = "Mixed" if len(found) == 2 else WORDS[next(iter(found), "undecided")]
    best, what = _named_gain(tested)
    where = f"{best['arm']} on {task_title(study, best['task']).lower()}"
    return Answer(
        question,
        word,
        interval(best["value"], best["lower"], best["upper"], sign=True),
        f"change with {horizon} for {where}, {what}",
        _counted("a sure gain", "a sure loss", "arm-task pairs", tested),
    )


def _named_gain(tested: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The curve that stands for all, and what it is among them."""
    gains, losses = (
        [row for row in tested if row["verdict"] == verdict]
        for verdict in ("supported", "contradicted")
    )
    if gains:
        return max(gains, key=lambda row: row["value"]), "the largest gain shown"
    if losses:
        return min(losses, key=lambda row: row["value"]), "the largest loss shown"
    likeliest = max(tested, key=lambda row: (row["probability"] or 0.0, row["value"] or 0.0))
    return likeliest, "where a gain is likeliest"
