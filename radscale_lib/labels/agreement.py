"""Agreement of two readings of the same studies, with intervals."""

import math
from statistics import NormalDist
from typing import NamedTuple

import polars as pl

from radscale_lib.labels.states import MISSING

CONFIDENCE = 0.95
SCHEMA = pl.Schema(
    {
        "label": pl.String,
        "source": pl.String,
        "reference": pl.String,
        "studies": pl.Int64,
        "present": pl.Int64,
        **{
            f"{name}{part}": pl.Float64
            for name in ("agreement", "precision", "recall")
            for part in ("", "_lower", "_upper")
        },
        "kappa": pl.Float64,
    }
)
"""Columns of `labels/agreement.parquet` and `labels/audit/scores.parquet`."""


class Share(NamedTuple):
    """A share with its interval; all null if there are no cases."""

    value: float | None
    lower: float | None
    upper: float | None


def share(hits: float, weight: float, squares: float) -> Share:
    """A weighted share with Wilson's interval (1927) at Kish's effective number of cases (1965).

    Args:
        hits: weight of the cases that count.
        weight: weight of all cases.
        squares: sum of their squared weights; the number of cases if every weight is 1.
    """
    if weight <= 0:
        return Share(None, None, None)
    count, value = weight**2 / squares, hits / weight
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    centre = (value + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * math.sqrt(value * (1 - value) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    lower = 0.0 if value == 0 else max(centre - reach, 0.0)
    return Share(value, lower, 1.0 if value == 1 else min(centre + reach, 1.0))


def compare(
    pairs: pl.DataFrame, label: str, source: str, reference: str, smallest_cell: int = 1
) -> dict[str, object]:
    """A row of `SCHEMA`.

    Agreement and kappa (Cohen 1960) distinguish present, uncertain, and neither, since it is a
    matter of style whether a text denies or omits what is absent. Precision is the share of those
    found present that are present by the reference; recall is the share of those present by the
    reference that are found present. Uncertain or missing on the other side counts against both.

    Args:
        pairs: columns `found` and `true`, states as in `labels.states`, null if not mentioned, and
            `weight`; rows missing in `found` count only for recall.
        label: the label.
        source: the source to judge.
        reference: the source to compare with.
        smallest_cell: with fewer studies than this there are no values; if fewer are present, or
            not present, precision, recall and their number are withheld.
    """
    row: dict[str, object] = dict.fromkeys(SCHEMA.names())
    row |= {"label": label, "source": source, "reference": reference}
    if pairs.height < max(smallest_cell, 1):
        return row
    known = pairs.select(pl.col("found").ne_missing(MISSING)).to_series()
    weighed = pairs.select(
        found=_kind("found"), true=_kind("true"), weight=pl.col("weight").cast(pl.Float64)
    )
    row["studies"] = pairs.height
    present = weighed.filter(pl.col("true") == 1).height
    few = any(0 < count < smallest_cell for count in (present, pairs.height - present))
    row["present"] = None if few else present
    told = weighed.filter(known)
    for name, among, hit in (
        ("agreement", told, pl.col("found") == pl.col("true")),
        ("precision", weighed.filter(pl.col("found") == 1), pl.col("true") == 1),
        ("recall", weighed.filter(pl.col("true") == 1), pl.col("found") == 1),
    ):
        if few and name != "agreement":
            continue
        result = share(
            float(among.filter(hit)["weight"].sum()),
            float(among["weight"].sum()),
            float((among["weight"] ** 2).sum()),
        )
        row |= {name: result.value, f"{name}_lower": result.lower, f"{name}_upper": result.upper}
    row["kappa"] = _kappa(told)
    return row


def _kind(column: str) -> pl.Expr:
    """1 present, −1 uncertain, 0 neither."""
    return pl.when(pl.col(column).is_in([1, -1])).then(pl.col(column)).otherwise(0).cast(pl.Int8)


def _kappa(weighed: pl.DataFrame) -> float | None:
    total = float(weighed["weight"].sum())
    if total <= 0:
        return None
    observed = float(weighed.filter(pl.col("found") == pl.col("true"))["weight"].sum()) / total
    by = [
        {
            kind: float(weighed.filter(pl.col(column) == kind)["weight"].sum()) / total
            for kind in (1, -1, 0)
        }
        for column in ("found", "true")
    ]
    expected = sum(by[0][kind] * by[1][kind] for kind in (1, -1, 0))
    return None if expected >= 1 else (observed - expected) / (1 - expected)
