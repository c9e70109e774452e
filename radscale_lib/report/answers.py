"""The three questions that a study answers, from its verdicts and nothing else."""

from collections.abc import Mapping, Sequence
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
Row = Mapping[str, Any]
"""A row of the verdicts."""


@dataclass(frozen=True)
class Answer:
    """A question and what the study says to it.

    Attributes:
        question: as a reader would ask it.
        word: `Yes`, `No`, `Partly`, `Up to` a number of images, `Mixed`, `Not shown` or
            `Not tested`.
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
        study,
        "Continue on your own data?",
        verdicts,
        CONTINUING,
        f"difference from the open weights at each arm’s largest size, up to {largest}",
        "mean over arms, then over tasks",
        ("surely ahead", "surely behind", "arm-task pairs"),
        _rows(macro, "overtakes"),
    )
    labels = _stated(
        study,
        "Add labels?",
        verdicts,
        LABELS,
        "difference of reports and labels from reports alone at the largest size",
        "mean over pairs of arms, then over tasks",
        ("surely ahead with labels", "surely behind", "comparisons"),
        label_comparisons(verdicts),
    )
    return [continuing, labels, _more_images(study, macro)]


def _rows(macro: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    return macro.filter(pl.col("kind") == kind).rows(named=True)


def _stated(
    study: Study,
    question: str,
    verdicts: pl.DataFrame,
    claim: str,
    what: str,
    mean: str,
    words: tuple[str, str, str],
    rows: Sequence[Row],
) -> Answer:
    """By the claim's mean over all cases; where that is not sure, by the cases that are."""
    row = next(verdicts.filter(kind="stated", claim=claim).iter_rows(named=True), None)
    if row is None or row["verdict"] == "not testable":
        return Answer(question, WORDS["not testable"], what=row["text"] if row else "")
    found, counts = _number(row), _counted(*words, rows)
    gains, losses = _decided(rows)
    if row["verdict"] != "undecided" or not gains:
        return Answer(question, WORDS[row["verdict"]], found, f"{what}: {mean}", counts)
    word = "Mixed" if losses else "Partly"
    best = max(gains, key=lambda row: row["value"])
    largest = f"the largest of {len(gains)} sure gains" if len(gains) > 1 else "the only sure gain"
    what = f"{what}: {_where(study, best)}, {largest}; the {mean}, {found}, is undecided"
    return Answer(question, word, _number(best), what, counts)


def _number(row: Row) -> str:
    return interval(row["value"], row["lower"], row["upper"], sign=True)


def _where(study: Study, row: Row) -> str:
    return f"{row['arm']} on {task_title(study, row['task']).lower()}"


def _decided(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Verdicts that are supported, and those that are contradicted."""
    return (
        [row for row in rows if row["verdict"] == "supported"],
        [row for row in rows if row["verdict"] == "contradicted"],
    )


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


def _scaled(row: Row, share: float) -> float | None:
    expected = row["expected_by_chance"]
    return None if expected is None else expected * share


def _counted(yes: str, no: str, unit: str, rows: Sequence[Row]) -> str:
    """How many are decided either way, of how many, and how many chance alone would decide."""
    tested = [row for row in rows if row["verdict"] != "not testable"]
    if not tested:
        return ""
    supported, contradicted = (len(decided) for decided in _decided(tested))
    against = f", {no} in {contradicted}" if contradicted else ""
    chance = tested[0]["expected_by_chance"]
    expected = "" if chance is None else f"; about {number(chance, 1)} expected by chance"
    return f"{yes} in {supported} of {len(tested)} {unit}{against}{expected}"


def _more_images(study: Study, macro: pl.DataFrame) -> Answer:
    """The gain of more images is a verdict of each curve: the largest one shown is named.

    Where none is shown, rises from the smallest to the largest size say what images did so far.
    """
    question, horizon = "Add images?", f"{study.scaling.horizon:g} × the images"
    tested, risen = (
        [row for row in _rows(macro, kind) if row["verdict"] != "not testable"]
        for kind in ("gains", "rises")
    )
    if not tested:
        return Answer(question, WORDS["not testable"], what="no curve could be fitted")
    gains, losses = _decided(tested)
    rises, falls = _decided(risen)
    if rises and not (gains or losses):
        return _rising(study, question, macro, risen)
    found = {row["verdict"] for row in [*gains, *losses]}
    word = "Mixed" if len(found) == 2 else WORDS[next(iter(found), "undecided")]
    best, what = _named_gain(tested)
    what = f"change with {horizon} for {_where(study, best)}, {what}"
    if falls and not (gains or losses):
        what += f"; curves of {len(falls)} of {len(risen)} arm-task pairs surely fall"
    counts = _counted("a sure gain", "a sure loss", "arm-task pairs", tested)
    return Answer(question, word, _number(best), what, counts)


def _rising(study: Study, question: str, macro: pl.DataFrame, risen: Sequence[Row]) -> Answer:
    """What more images did up to the largest size, where a further gain is undecided."""
    rises, falls = _decided(risen)
    overtaking, _ = _decided(_rows(macro, "overtakes"))
    ahead = {(row["arm"], row["task"]) for row in overtaking}
    # A rise that only regains what few images lost is no reason for more.
    useful = [row for row in rises if (row["arm"], row["task"]) in ahead]
    best = max(useful or rises, key=lambda row: row["value"])
    sizes = study.arms[best["arm"]].sizes or study.subsets.sizes
    smallest, largest = (format_count(size) for size in (min(sizes), max(sizes)))
    end = "which ends" if useful else "which does not surely end"
    what = (
        f"change from {smallest} to {largest} images for {_where(study, best)}, {end} ahead of its "
        f"open weights; whether {study.scaling.horizon:g} × the images would gain more is undecided"
    )
    counts = _counted("a sure rise", "a sure fall", "arm-task pairs", risen)
    return Answer(question, "Mixed" if falls else f"Up to {largest}", _number(best), what, counts)


def _named_gain(tested: Sequence[Row]) -> tuple[Row, str]:
    """The curve whose number is shown, and how it stands out."""
    gains, losses = _decided(tested)
    if gains:
        return max(gains, key=lambda row: row["value"]), "the largest gain shown"
    if losses:
        return min(losses, key=lambda row: row["value"]), "the largest loss shown"
    likeliest = max(tested, key=lambda row: (row["probability"] or 0.0, row["value"] or 0.0))
    return likeliest, "where a gain is likeliest"
