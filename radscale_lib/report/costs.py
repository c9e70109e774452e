"""The cost of pretraining: planned from the budget, and used according to the run cards."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from radscale_lib.study import Study

UNKNOWN = "–"
JOULES = 3.6e6
"""Joules per kWh."""


def cost_rows(study: Study, cards: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """A row of text for each arm and base trained here, and one for the total.

    Planned: samples of the budget times FLOPs of a sample, at the study's stated rate
    (`compute.tflops` × `compute.utilisation`). Used: seconds of the runs, over all attempts, times
    devices. Energy: device-hours times `compute.watts`. If a value is unknown for one run of a row,
    it is unknown for the row.

    Args:
        study: states rate, devices and power.
        cards: the run cards; released weights, floors and interpolations are not trained.
    """
    trained = {**study.trained_arms, **study.bases}
    of_arm: dict[str, list[Mapping[str, Any]]] = {}
    for card in cards:
        if card["arm"] in trained:
            of_arm.setdefault(card["arm"], []).append(card)
    if not of_arm:
        return []
    rows = {name: of_arm[name] for name in trained if name in of_arm}
    every = [card for cards in rows.values() for card in cards]
    return [_row(study, name, cards) for name, cards in (rows | {"all": every}).items()]


def _row(study: Study, name: str, cards: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    compute = study.compute
    rate = compute.tflops * 1e12 * compute.utilisation
    planned = _sum(_product(card, "samples_budget", "flops_per_sample") for card in cards)
    used = _sum(_product(card, "samples_seen", "flops_per_sample") for card in cards)
    seconds = _sum(card.get("seconds") for card in cards)
    hours = {
        "planned": None if planned is None else planned / rate / 3600,
        "used": None if seconds is None else seconds * compute.devices / 3600,
    }
    row = {
        "arm": name,
        "runs": str(len(cards)),
        "flops_planned": UNKNOWN if planned is None else f"{planned:.2g}",
        "flops_used": UNKNOWN if used is None else f"{used:.2g}",
    }
    for kind, value in hours.items():
        watts = compute.watts
        energy = None if value is None or watts is None else value * 3600 * watts / JOULES
        row[f"hours_{kind}"] = UNKNOWN if value is None else _digits(value)
        row[f"energy_{kind}"] = UNKNOWN if energy is None else _digits(energy)
    return row


def _digits(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _product(card: Mapping[str, Any], one: str, other: str) -> float | None:
    first, second = card.get(one), card.get(other)
    return None if first is None or second is None else float(first) * float(second)


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else float(sum(value or 0.0 for value in known))
