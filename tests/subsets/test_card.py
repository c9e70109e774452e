"""The card of subsets: counts, shares, and intervals that hold."""

import numpy as np
import polars as pl
import pytest

from radscale_lib.study.archive import Labels
from radscale_lib.subsets.card import SCHEMA, describe
from radscale_lib.subsets.splits import describe_splits

LABELS = Labels(findings=("effusion",), tubes=("ett",))


def pool_of(patients: int, rng: np.random.Generator) -> pl.DataFrame:
    """Patients of one to six images, alike within a patient."""
    counts = rng.integers(1, 7, patients)
    owner = np.repeat(np.arange(patients), counts)
    sick = (rng.random(patients) < 0.3)[owner] & (rng.random(len(owner)) < 0.9)
    view = np.where((rng.random(patients) < 0.5)[owner], "PA", "AP")
    return pl.DataFrame(
        {
            "image_id": [f"{i:032x}" for i in range(len(owner))],
            "study_id": [f"{i // 2:032x}" for i in range(len(owner))],
            "patient_id": [f"{i:032x}" for i in owner],
            "split": ["pool"] * len(owner),
            "view": view,
            "year": rng.integers(2000, 2003, len(owner)),
            "labelled": rng.random(len(owner)) < 0.8,
            "finding:effusion": np.where(sick, 1, 0),
            "tube:ett": pl.Series([None] * len(owner), dtype=pl.Int8),
        }
    )


def drawn(pool: pl.DataFrame, patients: int, rng: np.random.Generator) -> pl.DataFrame:
    names = pool["patient_id"].unique().sort().to_numpy()
    chosen = rng.choice(names, patients, replace=False)
    return pool.filter(pl.col("patient_id").is_in(chosen.tolist()))


def test_counts_and_shares() -> None:
    rng = np.random.default_rng(0)
    pool = pool_of(40, rng)
    other = pool.head(9).with_columns(
        split=pl.lit("test"), image_id=pl.lit("t") + pl.col("image_id")
    )
    part = drawn(pool, 10, rng)
    card = describe(pl.concat([pool, other]), {(3, 25): part}, LABELS)
    assert card.schema == SCHEMA
    assert card["group"].to_list() == ["view"] * 2 + ["year"] * 3 + ["finding", "tube"]
    first = card.row(0, named=True)
    assert (first["seed"], first["size"], first["images"]) == (3, 25, part.height)
    assert (first["patients"], first["studies"]) == (10, part["study_id"].n_unique())
    assert first["share"] == pytest.approx((part["view"] == "AP").mean())
    assert first["whole"] == pytest.approx((pool["view"] == "AP").mean())
    assert first["difference"] == pytest.approx(first["share"] - first["whole"])
    label = card.filter(pl.col("group") == "finding").row(0, named=True)
    labelled = part.filter("labelled")
    assert label["share"] == pytest.approx(labelled["finding:effusion"].mean())
    assert card.filter(pl.col("group") == "tube")["share"].to_list() == [0.0]
    assert card.group_by("group").agg(pl.col("share").sum()).filter(
        pl.col("group").is_in(["view", "year"])
    )["share"].to_list() == pytest.approx([1.0, 1.0])


def test_the_whole_differs_by_nothing() -> None:
    pool = pool_of(20, np.random.default_rng(1))
    card = describe(pool, {(0, pool.height): pool}, LABELS)
    for column in ("difference", "lower", "upper"):
        assert card[column].abs().max() == 0


def test_intervals_hold() -> None:
    """Of 400 draws, about 95 % have an interval that holds 0, for images alike within patients."""
    rng = np.random.default_rng(2)
    pool = pool_of(400, rng)
    held = []
    for _ in range(400):
        card = describe(pool, {(0, 1): drawn(pool, 120, rng)}, LABELS)
        label = card.filter(pl.col("group") == "finding").row(0, named=True)
        held.append(label["lower"] <= 0 <= label["upper"])
    assert 0.91 <= np.mean(held) <= 0.99


def test_a_catalog_without_labels_or_years() -> None:
    pool = pool_of(10, np.random.default_rng(3)).drop("year", "tube:ett", "finding:effusion")
    card = describe(pool.with_columns(labelled=False), {(0, 5): pool.head(5)}, Labels())
    assert set(card["group"]) == {"view"}


def test_cells_of_few_patients_are_merged_and_labels_of_few_left_out() -> None:
    """Views of 12, 6, 3 and 1 patients; the label is there in 3 of them."""
    views = ["PA"] * 12 + ["AP"] * 6 + ["LL"] * 3 + ["RL"]
    pool = pl.DataFrame(
        {
            "image_id": [f"{k:032x}" for k in range(22)],
            "study_id": [f"{k:032x}" for k in range(22)],
            "patient_id": [f"{k:032x}" for k in range(22)],
            "split": "pool",
            "view": views,
            "labelled": True,
            "finding:effusion": [1] * 3 + [0] * 19,
        }
    )

    def cells(smallest: int, part: pl.DataFrame = pool) -> dict[str, float]:
        card = describe(pool, {(0, 22): part}, Labels(findings=("effusion",)), smallest)
        return {name: round(22 * share) for name, share in card.select("name", "share").rows()}

    assert cells(1) == {"AP": 6, "LL": 3, "PA": 12, "RL": 1, "effusion": 3}
    assert cells(3) == {"AP": 6, "PA": 12, "other": 4, "effusion": 3}
    assert cells(4) == {"AP": 6, "PA": 12, "other": 4}
    assert cells(5) == {"PA": 12, "other": 10}  # four are too few: the next smallest joins them
    assert cells(13) == {}
    assert set(cells(5, pool.head(9))) == set()  # of the subset's own patients


def test_splits_are_counted_and_small_cells_are_not_told() -> None:
    rng = np.random.default_rng(3)
    pool = pool_of(60, rng)
    patients = pool["patient_id"].unique().sort().to_list()
    test = pool.filter(pl.col("patient_id").is_in(patients[:25])).with_columns(
        split=pl.lit("test"),
        view=pl.when(pl.col("patient_id") == patients[0]).then(pl.lit("LL")).otherwise("view"),
    )
    pool = pool.filter(~pl.col("patient_id").is_in(patients[:25]))
    counts = describe_splits(pl.concat([test, pool]), LABELS)
    assert counts["split"].unique(maintain_order=True).to_list() == ["pool", "test"]
    total = counts.row(by_predicate=(pl.col("split") == "test") & (pl.col("group") == "all"))
    assert total[3:] == (test.height, test.height, 25, test["study_id"].n_unique())
    sick = counts.row(by_predicate=(pl.col("split") == "test") & (pl.col("name") == "effusion"))
    known = test.filter("labelled")
    assert sick[3:5] == (known["finding:effusion"].sum(), known.height)
    views = counts.filter(split="test", group="view")
    assert dict(views.select("name", "images").iter_rows()) == dict(
        test["view"].value_counts().iter_rows()
    )
    merged = describe_splits(test, LABELS, smallest_cell=5).filter(group="view")
    assert "LL" not in merged["name"].to_list() and merged["images"].sum() == test.height
