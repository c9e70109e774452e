"""Subsets: nested, exact, stable, by patient, and the same for ever."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.study.subsets import Curated, Stratified, Subsets
from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.keys import unit_key
from radscale_lib.subsets.order import order, prefix
from radscale_lib.subsets.table import write_subset

VIEWS = ("PA", "AP", "LL")
SPLITS = ("pool", "train", "validation", "test")


def catalog_of(patients: list[int], splits: list[str]) -> pl.DataFrame:
    """A catalog in which image i belongs to patients[i], and patient p to splits[p]."""
    images = [hashlib.sha256(f"image {i}".encode()).hexdigest()[:32] for i in range(len(patients))]
    table = pl.DataFrame(
        {
            "image_id": images,
            "study_id": [
                hashlib.sha256(f"study {p} {i % 2}".encode()).hexdigest()[:32]
                for i, p in enumerate(patients)
            ],
            "patient_id": [
                hashlib.sha256(f"patient {p}".encode()).hexdigest()[:32] for p in patients
            ],
            "digest": [image[::-1] for image in images],
            "split": [splits[p] for p in patients],
        },
        schema=dict.fromkeys(("image_id", "study_id", "patient_id", "digest", "split"), pl.String),
    ).with_columns(
        view=pl.Series(
            [VIEWS[p % 3] if i % 4 else "LL" for i, p in enumerate(patients)], dtype=pl.String
        ),
        year=pl.Series([2000 + i % 2 for i in range(len(patients))], dtype=pl.Int16),
    )
    return table.sort("image_id")


@st.composite
def catalogs(draw):
    count = draw(st.integers(1, 12))
    splits = draw(st.lists(st.sampled_from(SPLITS), min_size=count, max_size=count))
    patients = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=40))
    return catalog_of(patients, splits)


units = st.sampled_from(["patient", "study", "image"])
KINDS = ("uniform", "stratified", "curated", "weighted", "distinct")
kinds = st.sampled_from(KINDS)


def settings_of(unit: str, kind: str = "uniform", last_unit: str = "cut") -> Subsets:
    """Settings of every kind of order."""
    orders = {
        "uniform": {"kind": "uniform"},
        "stratified": {"kind": "stratified", "by": ("view", "year")},
        "curated": {"kind": "curated", "table": "t", "importance": "weight", "embedding": "vector"},
        "weighted": {"kind": "curated", "table": "t", "importance": "weight"},
        "distinct": {"kind": "curated", "table": "t", "embedding": "vector"},
    }
    return Subsets(sizes=(1,), unit=unit, order=orders[kind], last_unit=last_unit)


def curation_of(catalog: pl.DataFrame) -> pl.DataFrame:
    """Importance and vectors that depend on the image alone; every fourth image repeats others."""
    numbers = [int(image[:8], 16) for image in catalog["image_id"]]
    vectors = [
        [1.0, 0.0, 0.0] if n % 4 == 0 else np.random.default_rng(n).normal(size=3).tolist()
        for n in numbers
    ]
    return pl.DataFrame(
        {"image_id": catalog["image_id"], "weight": [n % 5 for n in numbers], "vector": vectors},
        schema={"image_id": pl.String, "weight": pl.Int64, "vector": pl.List(pl.Float64)},
    )


def ranked_of(catalog: pl.DataFrame, seed: int, unit: str, kind: str = "uniform") -> list[str]:
    """Image ids in the seed's order."""
    rows = order(catalog, seed, settings_of(unit, kind), curation_of(catalog))
    return catalog["image_id"][rows].to_list()


def subset(catalog, seed, size, unit, kind="uniform", last_unit="cut") -> pl.DataFrame:
    """Catalog rows of a subset."""
    settings = settings_of(unit, kind, last_unit)
    rows = order(catalog, seed, settings, curation_of(catalog))
    return catalog[prefix(rows, catalog, size, settings)]


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
    assert ranked_of(catalog, seed, unit) == naive_order(catalog, seed, unit)


@settings(max_examples=60, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units, kind=kinds, data=st.data())
def test_subsets_of_every_kind_are_exact_and_nested(catalog, seed, unit, kind, data):
    pool = catalog.filter(pl.col("split") == "pool")
    small = data.draw(st.integers(0, pool.height))
    large = data.draw(st.integers(small, pool.height))
    first, second = (subset(catalog, seed, size, unit, kind) for size in (small, large))
    assert (first.height, second.height) == (small, large)
    assert first.equals(second.head(small))
    everything = subset(catalog, seed, pool.height, unit, kind)
    assert everything.sort("image_id").equals(pool)


@settings(max_examples=40, deadline=None)
@given(
    catalog=catalogs(), seed=seeds, unit=st.sampled_from(["patient", "study"]),
    kind=st.sampled_from(["uniform", "stratified", "weighted"]),
    last_unit=st.sampled_from(["cut", "whole"]), data=st.data(),
)  # fmt: skip
def test_no_patient_is_in_two_splits_and_only_the_last_unit_is_cut(
    catalog, seed, unit, kind, last_unit, data
):
    pool = catalog.filter(pl.col("split") == "pool")
    size = data.draw(st.integers(0, pool.height))
    drawn = subset(catalog, seed, size, unit, kind, last_unit)
    others = set(catalog.filter(pl.col("split") != "pool")["patient_id"])
    assert not others & set(drawn["patient_id"])
    column = f"{unit}_id"
    whole = dict(pool.group_by(column).len().iter_rows())
    have = dict(drawn.group_by(column).len().iter_rows())
    cut = [name for name, count in have.items() if count < whole[name]]
    if last_unit == "whole":
        assert cut == []
        last = have[drawn[column][-1]] if size else 0
        assert size <= drawn.height < size + max(last, 1)
    else:
        assert cut in ([], [drawn[column][-1]] if size else [])


@settings(max_examples=40, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units, data=st.data())
def test_added_images_move_no_old_ones(catalog, seed, unit, data):
    kept = data.draw(st.lists(st.booleans(), min_size=catalog.height, max_size=catalog.height))
    old = catalog.filter(pl.Series(kept, dtype=pl.Boolean))
    before = ranked_of(old, seed, unit)
    after = ranked_of(catalog, seed, unit)
    assert [image for image in after if image in set(before)] == before


@settings(max_examples=30, deadline=None)
@given(catalog=catalogs(), seed=seeds, data=st.data())
def test_added_images_move_no_old_ones_of_their_stratum(catalog, seed, data):
    """A stratified order keeps this much: shares of strata shift, and merge otherwise."""
    kept = data.draw(st.lists(st.booleans(), min_size=catalog.height, max_size=catalog.height))
    old = catalog.filter(pl.Series(kept, dtype=pl.Boolean))
    stratum = dict(
        zip(catalog["image_id"], zip(catalog["view"], catalog["year"], strict=True), strict=True)
    )
    before = ranked_of(old, seed, "image", "stratified")
    after = ranked_of(catalog, seed, "image", "stratified")
    for name in set(stratum.values()):
        kept_order = [image for image in before if stratum[image] == name]
        assert [i for i in after if stratum[i] == name and i in set(before)] == kept_order


@settings(max_examples=40, deadline=None)
@given(catalog=catalogs(), seed=seeds, unit=units, kind=kinds, cut=st.integers(1, 39))
def test_order_does_not_depend_on_chunks(catalog, seed, unit, kind, cut):
    parts = pl.concat([catalog[:cut], catalog[cut:]], rechunk=False)
    assert ranked_of(parts, seed, unit, kind) == ranked_of(catalog, seed, unit, kind)


def test_a_catalog_out_of_order_is_refused(tmp_path):
    catalog = catalog_of([0, 1, 2], ["pool"] * 3)
    catalog.reverse().write_parquet(tmp_path / "catalog.parquet")
    with pytest.raises(SubsetError, match="not sorted by image_id"):
        write_subset(
            tmp_path / "catalog.parquet", 0, 2, settings_of("patient"), tmp_path / "subset.parquet"
        )
    assert not (tmp_path / "subset.parquet").exists()


def test_ids_of_another_length_are_refused(tmp_path):
    catalog = catalog_of([0, 1], ["pool"] * 2).with_columns(digest=pl.lit("0f"))
    catalog.write_parquet(tmp_path / "catalog.parquet")
    with pytest.raises(SubsetError, match="digest is not of 32 characters: run catalog again"):
        write_subset(
            tmp_path / "catalog.parquet", 0, 2, settings_of("patient"), tmp_path / "subset.parquet"
        )


def test_more_strata_than_are_balanced_one_by_one():
    patients = np.random.default_rng(0).integers(0, 500, 1500)
    catalog = catalog_of(patients.tolist(), ["pool"] * 500).with_columns(
        scanner=pl.Series([f"scanner {number % 400}" for number in range(1500)])
    )
    by = Stratified(kind="stratified", by=("scanner", "view"))
    rows = order(catalog, 0, Subsets(sizes=(1,), order=by))
    assert sorted(rows) == list(range(1500))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["patient", "study", "image"])
def test_a_subset_of_a_file(tmp_path, kind, unit):
    catalog = catalog_of([0, 0, 1, 2, 3, 3, 4], ["pool"] * 4 + ["test"])
    catalog.write_parquet(tmp_path / "catalog.parquet")
    curation_of(catalog).write_parquet(tmp_path / "t")
    settings = settings_of(unit, kind)
    if kind not in ("uniform", "stratified"):
        order_there = settings.order.model_copy(update={"table": tmp_path / "t"})
        settings = settings.model_copy(update={"order": order_there})
    write_subset(tmp_path / "catalog.parquet", 1, 4, settings, tmp_path / "subset.parquet")
    drawn = pl.read_parquet(tmp_path / "subset.parquet")
    assert drawn.schema == {"rank": pl.Int64, "image_id": pl.String, "digest": pl.String}
    assert drawn["rank"].to_list() == [0, 1, 2, 3]
    assert (drawn["digest"].str.reverse() == drawn["image_id"]).all()
    assert drawn["image_id"].equals(subset(catalog, 1, 4, unit, kind)["image_id"])


def test_seeds_give_independent_orders():
    catalog = catalog_of(list(range(2000)), ["pool"] * 2000)
    for kind in ("uniform", "stratified"):
        first, second = (set(subset(catalog, s, 1000, "patient", kind)["image_id"]) for s in (0, 1))
        # Hypergeometric: mean 500, standard deviation 11.2.
        assert abs(len(first & second) - 500) < 56


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("unit", ["image", "patient"])
def test_strata_keep_their_shares(seed, unit):
    """Each image for its own stratum, to less than the largest unit."""
    rng = np.random.default_rng(seed)
    catalog = catalog_of(rng.integers(0, 900, 3000).tolist(), ["pool"] * 900)
    settings = Subsets(sizes=(1,), unit=unit, order=Stratified(kind="stratified", by=("view",)))
    ranked = order(catalog, seed, settings)
    largest = catalog.group_by(f"{unit}_id").len()["len"].max()
    strata = catalog.group_by("view").len("all")
    for size in (100, 500, 1500):
        have = catalog[prefix(ranked, catalog, size, settings)].group_by("view").len("have")
        both = strata.join(have, on="view", how="left").fill_null(0)
        off = (both["have"] - both["all"] * size / len(catalog)).abs()
        assert (off < max(largest, 2)).all(), size


def test_importance_is_the_chance_to_come_first():
    """Of two images with importances 3 and 1, the first leads in 3 of 4 orders; 0 comes last."""
    catalog = catalog_of([0, 1, 2], ["pool"] * 3)
    table = pl.DataFrame({"image_id": catalog["image_id"], "weight": [3.0, 1.0, 0.0]})
    settings = Subsets(
        sizes=(1,), unit="image", order=Curated(kind="curated", table="t", importance="weight")
    )
    orders = [order(catalog, seed, settings, table).to_list() for seed in range(1000)]
    assert all(rows[2] == 2 for rows in orders)
    leads = sum(rows[0] == 0 for rows in orders)
    assert abs(leads - 750) < 4 * (1000 * 0.75 * 0.25) ** 0.5


def test_repeats_come_last():
    catalog = catalog_of(list(range(40)), ["pool"] * 40)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 8))
    vectors[20:] = vectors[:20] * 2 + rng.normal(size=(20, 8)) * 1e-3
    table = pl.DataFrame({"image_id": catalog["image_id"], "vector": vectors.tolist()})
    settings = Subsets(
        sizes=(1,), order=Curated(kind="curated", table="t", embedding="vector", similarity=0.99)
    )
    rows = order(catalog, 3, settings, table).to_numpy() % 20
    assert len(set(rows[:20])) == 20
    uniform = order(catalog, 3, Subsets(sizes=(1,))).to_numpy() % 20
    firsts = list(dict.fromkeys(uniform.tolist()))
    assert rows[:20].tolist() == firsts  # the first of a pair in the order stays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.head(5), "order.importance: 2 of 7 images of the pool have no number"),
        (lambda t: t.with_columns(weight=-1), "7 of 7 images"),
        (lambda t: t.drop("weight"), "no column 'weight': use one of"),
        (lambda t: pl.concat([t, t]), "an image_id appears twice"),
        (
            lambda t: t.with_columns(vector=pl.Series([[1.0]] + [[1.0, 2.0]] * 6)),
            "order.embedding: column 'vector' needs a vector of one length",
        ),
    ],
)
def test_tables_that_will_not_do(change, message):
    catalog = catalog_of([0, 0, 1, 2, 3, 3, 4], ["pool"] * 5)
    table = change(curation_of(catalog))
    with pytest.raises(SubsetError, match=message):
        order(catalog, 0, settings_of("patient", "curated"), table)


def test_a_stratum_of_no_column():
    catalog = catalog_of([0, 1], ["pool"] * 2).drop("year")
    with pytest.raises(SubsetError, match=r"\['year'\] not among the catalog's columns"):
        order(catalog, 0, settings_of("patient", "stratified"))


def test_keys_are_what_they_were():
    assert unit_key("0123456789abcdef0123456789abcdef", 0) == 0x7AA8261C36956D2A
    assert unit_key("0123456789abcdef0123456789abcdef", 7) == 0x48496D50327FAB53
    assert unit_key("", 0) == 0x97F34A8B8E4E9C56


def test_order_is_what_it_was():
    catalog = catalog_of([0, 0, 1, 2, 3, 3, 4], ["pool"] * 5)
    ranked = [image[:6] for image in ranked_of(catalog, 1, "patient")]
    assert ranked == ["c3a248", "cdcef0", "7c8278", "bdd295", "cc88f6", "32708a", "2cc374"]
    ranked = [image[:6] for image in ranked_of(catalog, 1, "patient", "stratified")]
    assert ranked == ["c3a248", "cdcef0", "32708a", "7c8278", "bdd295", "cc88f6", "2cc374"]


def test_a_size_above_the_pool_names_size_pool_and_remedy():
    catalog = catalog_of([0, 1, 2], ["pool", "pool", "test"])
    with pytest.raises(SubsetError, match=r"3 images are more than the pool of 2 .*of 3 accepted"):
        subset(catalog, 0, 3, "patient")
