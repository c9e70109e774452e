"""Verdicts over the whole study: whether each claim holds once corrected for all of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from radscale_lib.scaling.claims import Claim, curve_claims, pair_claims
from radscale_lib.scaling.multiplicity import benjamini_hochberg, expected_by_chance, gate
from radscale_lib.scaling.stated import stated_claims
from radscale_lib.scaling.study_fits import TaskFits
from radscale_lib.study import Study

VERDICTS_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(
            ("claim", "kind", "arm", "other", "task", "target", "metric", "head"), pl.String()
        ),
        "size": pl.Float64(),
        "verdict": pl.String(),
        **dict.fromkeys(
            ("value", "lower", "upper", "confidence", "probability", "adjusted"), pl.Float64()
        ),
        "family": pl.String(),
        "expected_by_chance": pl.Float64(),
        "text": pl.String(),
    }
)
GATE = {"rises": 0.94, "overtakes": 0.02, "ahead": 0.02, "stated": 0.02}
"""Families in which the study must show something before anything is decided, with their shares of
the level. Trends are the subject of a scaling study, and hardest to see; leads alone must be beyond
doubt to open the gate. The other families follow from these: gains and slopes need a trend, and
tasks consist of labels."""


def verdicts(study: Study, tasks: Sequence[TaskFits]) -> pl.DataFrame:
    """The verdicts table of a study.

    Args:
        study: names arms, tasks, claims and the level.
        tasks: its fits.
    """
    confidence = study.scaling.confidence
    rows = decide(claims_of(study, tasks), 1 - confidence)
    heads = {fits.task: study.head_of(fits.task) for fits in tasks}
    return pl.DataFrame(
        [row | {"head": _heads(row["task"], heads), "confidence": confidence} for row in rows],
        schema=VERDICTS_SCHEMA,
    )


def _heads(tasks: str | None, heads: dict[str, str]) -> str | None:
    """The heads of the tasks that a claim names, without duplicates."""
    named = [heads[task] for task in (tasks or "").split(", ") if task in heads]
    return ", ".join(dict.fromkeys(named)) or None


def claims_of(study: Study, tasks: Sequence[TaskFits]) -> list[Claim]:
    """Every claim of a study with its evidence: stated ones, those on curves, those on pairs."""
    levels = (study.scaling.confidence, study.scaling.horizon)
    return [
        *stated_claims(study, tasks),
        *(claim for fits in tasks for claim in curve_claims(fits, *levels)),
        *(claim for fits in tasks for claim in pair_claims(fits, *levels)),
    ]


def decide(claims: Sequence[Claim], level: float) -> list[dict[str, Any]]:
    """Adjust the claims for multiplicity, and decide those with an adjusted p of at most `level`.

    A claim's adjusted p-value is the largest of three: that within its family (Benjamini and
    Hochberg), that of the whole study (`multiplicity.gate`), and that of the claims it needs.

    Returns:
        A row for each claim, in the same order, without head and confidence.
    """
    families: dict[str, list[int]] = {}
    for index, claim in enumerate(claims):
        if claim.value is not None:
            families.setdefault(claim.family, []).append(index)
    p = np.array([claim.p for claim in claims])
    opened = gate({name: p[families[name]] for name in GATE if name in families}, GATE)
    adjusted = np.full(len(claims), np.nan)
    for of_family in families.values():
        adjusted[of_family] = np.maximum(benjamini_hochberg(p[of_family]), opened)
    place = {claim.claim: index for index, claim in enumerate(claims)}
    for index, claim in enumerate(claims):
        if claim.needs and claim.value is not None:
            least = min(adjusted[place[name]] for name in claim.needs)
            adjusted[index] = max(adjusted[index], least)
    chance = {
        name: expected_by_chance(p[of_family], adjusted[of_family] <= level, level)
        for name, of_family in families.items()
    }
    return [
        _row(claim, float(one), level, chance.get(claim.family))
        for claim, one in zip(claims, adjusted, strict=True)
    ]


def _row(claim: Claim, adjusted: float, level: float, chance: float | None) -> dict[str, Any]:
    value, lower, upper = claim.value or (None, None, None)
    testable = claim.value is not None and claim.probability is not None
    if not testable:
        verdict, text = "not testable", claim.open
    elif adjusted > level:
        verdict, text = "undecided", claim.open
    elif _true(claim):
        verdict, text = "supported", claim.yes
    else:
        verdict, text = "contradicted", claim.no
    return {
        "claim": claim.claim,
        "kind": claim.kind,
        "arm": claim.arm,
        "other": claim.other,
        "task": claim.task,
        "target": claim.target,
        "metric": claim.metric,
        "size": claim.size,
        "verdict": verdict,
        "value": value,
        "lower": lower,
        "upper": upper,
        "probability": claim.probability,
        "adjusted": adjusted if testable else None,
        "family": claim.family,
        "expected_by_chance": chance if testable else None,
        "text": text,
    }


def _true(claim: Claim) -> bool:
    """Whether a decided claim is supported."""
    return claim.probability is not None and claim.probability > 0.5


def decided(table: pl.DataFrame, kind: str) -> dict[tuple[str, str], str]:
    """Verdicts on the macro claims of a kind, by arm and task."""
    rows = table.filter((pl.col("kind") == kind) & (pl.col("target") == "macro"))
    return {(arm, task): verdict for arm, task, verdict in _keys(rows)}


def undecided_labels(table: pl.DataFrame, kind: str) -> set[tuple[str, str, str]]:
    """Arm, task and label of the undecided label claims of a kind."""
    rows = table.filter((pl.col("kind") == kind) & (pl.col("target") != "macro"))
    return set(rows.filter(verdict="undecided").select("arm", "task", "target").iter_rows())


def _keys(rows: pl.DataFrame) -> Iterable[tuple[str, str, str]]:
    return rows.select("arm", "task", "verdict").iter_rows()
