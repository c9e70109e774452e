"""The composition of each split of an archive: the study's Table 1."""

import polars as pl

from radscale_lib.study.archive import Labels
from radscale_lib.subsets.card import shares_of, totals_of

SPLITS = ("pool", "train", "validation", "test")
"""The pool from which subsets are drawn; then where heads are trained, chosen and scored."""
SCHEMA = pl.Schema(
    {
        "split": pl.String,
        "group": pl.String,
        "name": pl.String,
        "images": pl.Int64,
        "of": pl.Int64,
        "patients": pl.Int64,
        "studies": pl.Int64,
    }
)


def describe_splits(catalog: pl.DataFrame, labels: Labels, smallest_cell: int = 1) -> pl.DataFrame:
    """Count each split.

    There is a row for each split (`group` `all`: its images, patients and studies), and one for
    each property: the number of images that have it, out of those for which it is known.

    Args:
        catalog: columns image_id, patient_id, study_id, split, labelled, labels, and any of view,
            year, scanner, sex, age_band.
        labels: the study's labels.
        smallest_cell: properties that fewer patients of a split have are merged, and labels that
            fewer have, or lack, are left out, as in `card.describe`.

    Returns:
        Columns of `SCHEMA`; splits in order of `SPLITS`, then properties.
    """
    rows: list[tuple[str, str, str, int, int, int | None, int | None]] = []
    for split in SPLITS:
        part = catalog.filter(split=split)
        if part.is_empty():
            continue
        patients, studies = (part[f"{name}_id"].n_unique() for name in ("patient", "study"))
        rows.append((split, "all", "", part.height, part.height, patients, studies))
        shares = shares_of(part, part, labels, smallest_cell)
        totals = totals_of(part, shares)
        rows += [
            (split, group, name, totals[f"y{place}"], totals[f"x{place}"], None, None)
            for place, (group, name, _, _) in enumerate(shares)
            if totals[f"x{place}"]
        ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
