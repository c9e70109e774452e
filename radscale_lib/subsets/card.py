"""The card of subsets: their composition, and how far they differ from the whole pool."""

from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

import polars as pl

from radscale_lib.shards.labels import UNKNOWN
from radscale_lib.study.archive import Labels

GROUPS = ("view", "year", "scanner", "sex", "age_band")
"""Columns of the catalog, if present, whose composition is described."""
CONFIDENCE = 0.95
SCHEMA = pl.Schema(
    {
        "seed": pl.Int64,
        "size": pl.Int64,
        "images": pl.Int64,
        "patients": pl.Int64,
        "studies": pl.Int64,
        "group": pl.String,
        "name": pl.String,
        "share": pl.Float64,
        "whole": pl.Float64,
        "difference": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
    }
)


OTHERS = "other"
"""Name of merged values that few patients of a subset have."""


def describe(
    catalog: pl.DataFrame,
    subsets: Mapping[tuple[int, int], pl.DataFrame],
    labels: Labels,
    smallest_cell: int = 1,
) -> pl.DataFrame:
    """Describe subsets of a pool.

    A row for each subset and property: the share of images with a view, year or scanner, and of
    labelled images with a label; the same share in the whole pool; and the difference of the two.

    The interval (95 %) around the difference shows how it would vary over other draws of the same
    number of patients: it is that of a ratio of sums over patients, drawn without replacement
    (Cochran 1977, "Sampling Techniques", equation 6.9 with the finite population correction).

    Args:
        catalog: columns image_id, patient_id, study_id, split, labelled, labels, and any of view,
            year, scanner, sex, age_band.
        subsets: by (seed, size): column image_id.
        labels: the study's labels.
        smallest_cell: views, years and scanners of fewer patients of a subset are merged into
            `OTHERS`, with the next smallest ones until this number is reached; labels that fewer
            have, or lack, are left out.

    Returns:
        Columns of `SCHEMA`, in order of seed, size and property.
    """
    pool = catalog.filter(pl.col("split") == "pool")
    rows = []
    for (seed, size), drawn in sorted(subsets.items()):
        part = pool.join(drawn.select("image_id"), on="image_id", how="semi")
        shares = shares_of(pool, part, labels, smallest_cell)
        whole = totals_of(pool, shares)
        patients = _by_patient(part, shares)
        about = (seed, size, part.height, patients.height, part["study_id"].n_unique())
        totals = totals_of(part, shares)
        sampled = patients.height / max(pool["patient_id"].n_unique(), 1)
        for place, (group, name, _, _) in enumerate(shares):
            if not totals[f"x{place}"] or not whole[f"x{place}"]:
                continue
            share = totals[f"y{place}"] / totals[f"x{place}"]
            expected = whole[f"y{place}"] / whole[f"x{place}"]
            error = _standard_error(patients, place, share, sampled)
            reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
            gap = share - expected
            rows.append((*about, group, name, share, expected, gap, gap - reach, gap + reach))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


Share = tuple[str, str, pl.Expr, pl.Expr]
"""Group and name of a property; whether an image has it; whether the image counts for it."""


def shares_of(
    pool: pl.DataFrame, part: pl.DataFrame, labels: Labels, smallest_cell: int
) -> list[Share]:
    """The properties that at least `smallest_cell` patients of part of a pool have."""
    shares: list[Share] = []
    for group in GROUPS:
        if group in pool.columns:
            known = pl.col(group).is_not_null()
            for name, values in merged(pool, part, group, smallest_cell).items():
                shares.append((group, name, pl.col(group).is_in(values), known))
    for kind, names in (("finding", labels.findings), ("tube", labels.tubes)):
        for name in names:
            state = pl.col(f"{kind}:{name}")
            known = pl.col("labelled") & (state != UNKNOWN).fill_null(True)
            positive = (state == 1).fill_null(False) & known
            negative = ~positive & known
            cells = [_patients(part.filter(has)) for has in (positive, negative)]
            if all(cell == 0 or cell >= smallest_cell for cell in cells):
                shares.append((kind, name, positive, known))
    return shares


def merged(
    pool: pl.DataFrame, part: pl.DataFrame, group: str, smallest_cell: int
) -> dict[str, list[object]]:
    """Values of a group by name, those of few patients merged into `OTHERS`, which is last.

    Empty if all of them would be merged.
    """
    values = pool[group].drop_nulls().unique().sort().to_list()
    if smallest_cell <= 1:
        return {str(value): [value] for value in values}
    held = part.group_by(group).agg(pl.col("patient_id").n_unique())
    counts = dict.fromkeys(values, 0) | dict(held.drop_nulls(group).iter_rows())
    few: list[object] = []
    for value in sorted(values, key=lambda value: counts[value]):
        merged = _patients(part.filter(pl.col(group).is_in(few))) if few else smallest_cell
        if counts[value] < smallest_cell or merged < smallest_cell:
            few.append(value)
    named: dict[str, list[object]] = {str(value): [value] for value in values if value not in few}
    if few and named:
        named[OTHERS] = few
    return named


def _patients(images: pl.DataFrame) -> int:
    return images["patient_id"].n_unique()


def _sums(shares: list[Share]) -> list[pl.Expr]:
    return [
        expression.fill_null(False).cast(pl.Int64).sum().alias(f"{letter}{place}")
        for place, (_, _, has, counts) in enumerate(shares)
        for letter, expression in (("y", has), ("x", counts))
    ]


def totals_of(images: pl.DataFrame, shares: list[Share]) -> dict[str, int]:
    """Number of images with each property (`y0`, `y1`, …), and of those that count (`x0`, …)."""
    return images.select(_sums(shares)).row(0, named=True) if shares else {}


def _by_patient(images: pl.DataFrame, shares: list[Share]) -> pl.DataFrame:
    return images.group_by("patient_id").agg(_sums(shares)).sort("patient_id")


def _standard_error(patients: pl.DataFrame, place: int, share: float, sampled: float) -> float:
    """Standard error of a share, a ratio of sums over patients of whom `sampled` were drawn."""
    count = patients.height
    if count < 2:
        return float("nan") if sampled < 1 else 0.0
    residual = patients[f"y{place}"] - share * patients[f"x{place}"]
    total = float(patients[f"x{place}"].sum())
    variance = count / (count - 1) * float((residual * residual).sum()) / total**2
    return float((max(1 - sampled, 0.0) * variance) ** 0.5)


def columns(path: Path, labels: Labels) -> list[str]:
    """The columns of a catalog file that the description needs."""
    wanted = {"image_id", "patient_id", "study_id", "split", "labelled", *GROUPS}
    wanted |= {f"finding:{name}" for name in labels.findings}
    wanted |= {f"tube:{name}" for name in labels.tubes}
    return [name for name in pl.read_parquet_schema(path) if name in wanted]
