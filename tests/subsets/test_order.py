"""Subsets: nested, exact, stable, by patient, and the same for ever."""

import hashlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.subsets.order import SubsetError, order, subset, unit_key

SPLITS = ("pool", "train", "validation", "test")


def catalog_of(patients: list[int], splits: list[str]) -> pl.DataFrame:
    """A catalog in which image i belongs to patients[i], and patient p to splits[p]."""
    images = [hashlib.sha256(f"image {i}".encode()).hexdigest()[:32] for i in range(len(patients))]
    return pl.DataFrame(
        {
            "image_id": images,
            "patient_id": [
                hashlib.sha256(f"patient {p}".encode()).hexdigest()[:32] for p in patients
            ],
            "digest": [image[::-1] for image in images],
            "split": [splits[p] for p in patients],
        },
        schema=dict.fromkeys(("image_id", "patient_id", "digest", "split"), pl.String),
    )


@st.composite
def catalogs(draw):
    count = draw(st.integers(1, 12))
    splits = draw(st.lists(st.sampled_from(SPLITS), min_size=count, max_size=count))
    patients = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=40))
    return catalog_of(patients, splits)


units = st.sampled_from(["patient", "image"])
seeds = st.integers(0, 2**31)


def naive_order(catalog: pl.DataFrame, seed: int, unit: str) -> list[str]:
    """The published definition, a row at a time."""

    def place(row):
        name = row[f"{unit}_id"]
        key = hashlib.blake2b(
            name.encode(), digest_size=8, key=b"subset seed %d" % seed
        ).hexdigest()
        return key, name, row["image_id"]

    pool = [row for row in catalog.to_dicts() if row["split"] == "pool"]
    return [row["image_id"] for row in sorted(pool, key=place)]


@settings(max_examples=40, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units)
def test_order_is_the_published_definition(catalog, seed, unit):
    ranked = order(catalog, seed, unit)
    assert ranked["image_id"].to_list() == naive_order(catalog, seed, unit)
    assert ranked["rank"].to_list() == list(range(ranked.height))
    assert ranked.schema == {"rank": pl.Int64, "image_id": pl.String, "digest": pl.String}
    assert (ranked["digest"].str.reverse() == ranked["image_id"]).all()


@settings(max_examples=30, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units, data=st.data())
def test_subsets_are_exact_and_nested(catalog, seed, unit, data):
    pool = int((catalog["split"] == "pool").sum())
    small = data.draw(st.integers(0, pool))
    large = data.draw(st.integers(small, pool))
    first, second = (subset(catalog, seed, size, unit) for size in (small, large))
    assert (first.height, second.height) == (small, large)
    assert first.equals(second.head(small))


@settings(max_examples=30, deadline=None)
@given(catalog=catalogs(), seed=seeds, data=st.data())
def test_no_patient_is_in_two_splits_and_only_the_last_is_cut(catalog, seed, data):
    pool = catalog.filter(pl.col("split") == "pool")
    size = data.draw(st.integers(0, pool.height))
    drawn = subset(catalog, seed, size, "patient").join(
        catalog, on="image_id", maintain_order="left"
    )
    others = set(catalog.filter(pl.col("split") != "pool")["patient_id"])
    assert not others & set(drawn["patient_id"])
    whole = dict(pool.group_by("patient_id").len().iter_rows())
    have = dict(drawn.group_by("patient_id").len().iter_rows())
    cut = [patient for patient, count in have.items() if count < whole[patient]]
    assert cut in ([], [drawn["patient_id"][-1]] if size else [])


@settings(max_examples=30, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units, data=st.data())
def test_added_images_move_no_old_ones(catalog, seed, unit, data):
    kept = data.draw(st.lists(st.booleans(), min_size=catalog.height, max_size=catalog.height))
    old = catalog.filter(pl.Series(kept, dtype=pl.Boolean))
    before = order(old, seed, unit)["image_id"].to_list()
    after = order(catalog, seed, unit)["image_id"].to_list()
    assert [image for image in after if image in set(before)] == before


@settings(max_examples=40, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units, shuffle=st.integers(0, 1000))
def test_order_does_not_depend_on_rows_or_partitions(catalog, seed, unit, shuffle):
    mixed = catalog.sample(fraction=1, shuffle=True, seed=shuffle)
    parts = pl.concat([mixed[1::2], mixed[::2]], rechunk=False)
    assert order(parts, seed, unit).equals(order(catalog, seed, unit))


def test_seeds_give_independent_orders():
    catalog = catalog_of(list(range(2000)), ["pool"] * 2000)
    first, second = (set(subset(catalog, s, 1000, "patient")["image_id"]) for s in (0, 1))
    # Hypergeometric: mean 500, standard deviation 11.2.
    assert abs(len(first & second) - 500) < 56


def test_keys_are_what_they_were():
    assert unit_key("0123456789abcdef0123456789abcdef", 0) == 0x7AA8261C36956D2A
    assert unit_key("0123456789abcdef0123456789abcdef", 7) == 0x48496D50327FAB53
    assert unit_key("", 0) == 0x97F34A8B8E4E9C56


def test_order_is_what_it_was():
    catalog = catalog_of([0, 0, 1, 2, 3, 3, 4], ["pool"] * 5)
    ranked = order(catalog, 1, "patient")["image_id"].str.head(6).to_list()
    assert ranked == ["c3a248", "cdcef0", "7c8278", "bdd295", "cc88f6", "32708a", "2cc374"]


def test_a_size_above_the_pool_names_size_pool_and_remedy():
    catalog = catalog_of([0, 1, 2], ["pool", "pool", "test"])
    with pytest.raises(SubsetError, match=r"3 images are more than the pool of 2 .*of 3 accepted"):
        subset(catalog, 0, 3, "patient")
