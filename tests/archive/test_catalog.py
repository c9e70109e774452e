"""The catalog: one row an image, one split a patient, and every file accounted for."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.archive import catalog as catalog_module
from radscale_lib.archive.catalog import CatalogError, partitions_of, split_of
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.listing import partition_of, refresh
from radscale_lib.archive.population import implausible_patient
from radscale_lib.pseudonyms import pseudonym, unit_interval
from radscale_lib.shards.parquet import write_table
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study.archive import Archive, Image, Labels, Splits

KEY = b"0123456789abcdef"
SPLITS = Splits(train=0.2, validation=0.1, test=0.3)
FILES = {"a.dcm": 0, "b.dcm": 1, "c/copy of a.dcm": 0, "d.dcm": 2, "e/copy of b.dcm": 1, "f.dcm": 3}


def build(dicom: Path, out: Path, partitions: int, **settings):
    """Ingest every partition."""
    refresh(dicom, out / "listing", partitions)
    image = Image(shorter_side=16)
    archive = Archive(dicom=dicom, image=image, partitions=partitions, **settings)
    for k in range(partitions):
        outputs = Outputs(
            *(out / kind / f"part={k}.parquet" for kind in ("index", "ledger", "shards"))
        )
        listing = out / "listing" / f"part={k}.tsv"
        ingest(archive, Labels(), KEY, "stage", listing, Sources(dicom), outputs)
    return partitions_of(
        *(sorted((out / kind).iterdir()) for kind in ("listing", "ledger", "shards"))
    )


def merge(partitions, splits, most_quarantined=1.0, **limits):
    """The ledger and the catalog of some partitions."""
    with tempfile.TemporaryDirectory() as folder:
        ledger, catalog = Path(folder) / "ledger.parquet", Path(folder) / "catalog.parquet"
        joins = Path(folder) / "joins.parquet"
        catalog_module.merge(
            partitions, splits, most_quarantined, ledger, catalog, joins=joins, **limits
        )
        assert sorted(Path(folder).iterdir()) == [catalog, joins, ledger]
        return pl.read_parquet(ledger), pl.read_parquet(catalog)


@pytest.fixture(scope="module")
def dicom(make_dicom, make_image, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for name, number in FILES.items():
        image = make_image(70, 80, 255, seed=number).astype("u1")
        make_dicom(folder / name, image, number, PatientID=f"patient-{number}")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def partitions(dicom, tmp_path_factory):
    return build(dicom, tmp_path_factory.mktemp("out"), 4)


@pytest.fixture(scope="module")
def merged(partitions):
    return merge(partitions, SPLITS)


def test_duplicates_across_partitions(merged):
    """Copies fall into other partitions than the originals; the first partition's copy counts."""
    ledger, catalog = merged
    assert catalog["image_id"].to_list() == sorted(
        pseudonym(KEY, "image", f"1.2.3.4.{number}") for number in range(4)
    )
    assert ledger["outcome"].value_counts().sort("outcome").rows() == [
        ("accepted", 4),
        ("duplicate", 2),
        ("quarantined", 1),
    ]
    copies = ledger.filter(pl.col("detail") == "in another partition")
    assert copies.height > 0
    assert set(copies["reason"]) == {"same_sop_instance_uid"}
    assert copies["shard"].null_count() == copies["row"].null_count() == copies.height
    for name, copy in (("a.dcm", "c/copy of a.dcm"), ("b.dcm", "e/copy of b.dcm")):
        winner = min(partition_of(path, 4) for path in (name, copy))
        row = catalog.row(
            by_predicate=pl.col("image_id") == pseudonym(KEY, "image", f"1.2.3.4.{FILES[name]}"),
            named=True,
        )
        assert row["shard"] == f"part={winner}.parquet"


def test_ledger_is_in_order_of_partitions(merged):
    ledger, _ = merged
    assert ledger["partition"].is_sorted()
    assert ledger.height == len(FILES) + 1
    accepted = ledger.filter(pl.col("outcome") == "accepted")
    assert accepted.select("shard", "row").is_unique().all()


def test_catalog_rows_find_their_images(merged, partitions):
    _, catalog = merged
    shards = partitions[0].shard.parent
    for row in catalog.to_dicts():
        stored = pl.read_parquet(shards / row["shard"]).row(row["row"], named=True)
        assert stored["image_id"] == row["image_id"]
    images = ShardReader(shards).images(catalog["shard"], catalog["row"])
    assert [image.shape for image in images] == catalog.select("height", "width").rows()
    assert catalog.columns[-3:] == ["shard", "row", "split"]
    assert "image" not in catalog.columns


def test_the_number_of_partitions_changes_no_image(merged, dicom, tmp_path):
    _, catalog = merged
    _, single = merge(build(dicom, tmp_path, 1), SPLITS)
    places = ["shard", "row"]
    assert single.drop(places).equals(catalog.drop(places))


def test_the_number_of_buckets_changes_no_byte(partitions, tmp_path, monkeypatch):
    for rows, name in ((10**6, "one"), (1, "many")):
        monkeypatch.setattr(catalog_module, "ROWS_PER_GROUP", rows)
        catalog_module.merge(
            partitions, SPLITS, 1.0, tmp_path / "ledger.parquet", tmp_path / f"{name}.parquet"
        )
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "many.parquet").read_bytes()


def test_the_same_pixels_in_two_partitions(make_dicom, make_image, tmp_path):
    """Two instances, one picture: the first partition's counts."""
    image = make_image(70, 80, 255).astype("u1")
    for number in range(8):
        make_dicom(tmp_path / "dicom" / f"{number}.dcm", image, number)
    ledger, catalog = merge(build(tmp_path / "dicom", tmp_path, 3), SPLITS)
    assert catalog.height == 1
    assert set(ledger["reason"]) == {None, "same_pixels"}
    across = ledger.filter(pl.col("detail") == "in another partition")
    assert set(across["stage"]) == {"duplicates"}
    assert across.height == len({partition_of(f"{n}.dcm", 3) for n in range(8)}) - 1


@pytest.mark.parametrize("number", [1, 3])
def test_one_uid_on_different_pictures_is_a_defect_that_counts(
    make_dicom, make_image, tmp_path, number
):
    """In how many partitions they lie does not matter; a copy remains a copy."""
    for k in range(8):
        image = make_image(70, 80, 255, seed=k // 2).astype("u1")
        make_dicom(tmp_path / "dicom" / f"{k}.dcm", image, 0, PatientID=f"patient-{k}")
    partitions = build(tmp_path / "dicom", tmp_path, number)
    ledger, catalog = merge(partitions, SPLITS)
    assert catalog.height == 1
    assert ledger.select("outcome", "reason").to_series().value_counts().sort("outcome").rows() == [
        ("accepted", 1), ("duplicate", 1), ("quarantined", 6)
    ]  # fmt: skip
    refused = ledger.filter(pl.col("outcome") == "quarantined")
    assert set(refused["reason"]) == {"sop_instance_uid_reused"}
    assert set(refused["stage"]) == {"duplicates"}
    with pytest.raises(CatalogError, match=r"Most frequent: 6 sop_instance_uid_reused"):
        merge(partitions, SPLITS, most_quarantined=0.1)


@pytest.mark.parametrize("others", [0, 3])
def test_a_patient_who_is_many_stops_the_study(make_dicom, make_image, tmp_path, others):
    for k in range(12):
        image = make_image(70, 80, 255, seed=k).astype("u1")
        name = f"P{k}" if k < others else "ANONYMOUS"
        make_dicom(tmp_path / "dicom" / f"{k}.dcm", image, k, PatientID=name)
    partitions = build(tmp_path / "dicom", tmp_path, 2)
    for splits in (SPLITS, None):
        with pytest.raises(
            CatalogError,
            match=rf"one patient holds {12 - others} of 12 images \(\d+.0%; the archive has "
            rf"{1 + others} patients\), more than most_of_one_patient \(2.0%\): a placeholder in "
            "Patient ID, such as ANONYMOUS,",
        ):
            merge(partitions, splits, most_of_one_patient=0.02)
    merge(partitions, SPLITS, most_of_one_patient=1.0)


@pytest.mark.parametrize(
    ("held", "images", "wrong"),
    [(10, 10, 0), (6, 11, 1), (6, 12, 0), (100, 200, 0), (100, 199, 1), (100, 4000, 0),
     (101, 4000, 1), (200, 10_000, 0), (201, 10_000, 1)],
)  # fmt: skip
def test_how_much_one_patient_can_hold(held, images, wrong):
    patients = pl.Series(["many"] * held + [f"{number}" for number in range(images - held)])
    assert bool(implausible_patient(patients, 0.02)) == wrong
    assert implausible_patient(patients, 1.0) is None


def test_an_empty_split_stops_a_large_archive_and_is_told_of_a_small_one(partitions, capsys):
    """Four patients, none of them in validation."""
    narrow = SPLITS.model_copy(update={"validation": 0.001})
    merge(partitions, narrow)
    assert "splits: none of 4 patients falls in" in capsys.readouterr().err
    strict = narrow.model_copy(update={"empty_below": 4})
    with pytest.raises(CatalogError, match=r"falls in .*validation.*or splits.empty_below"):
        merge(partitions, strict)
    merge(partitions, None)


@pytest.mark.parametrize("number", [1, 3])
def test_devices_of_few_patients_have_a_code(make_dicom, make_image, tmp_path, number):
    """The model is free text, which may name a patient."""
    for k in range(9):
        image = make_image(70, 80, 255, seed=k).astype("u1")
        make_dicom(
            tmp_path / "dicom" / f"{k}.dcm", image, k, PatientID=f"patient-{k // 2}",
            ManufacturerModelName=("DX-1", "SMITH^JOHN ROOM 3", None)[(k > 4) + (k == 8)],
        )  # fmt: skip
    partitions = build(tmp_path / "dicom", tmp_path, number)
    code = "device-" + pseudonym(KEY, "device", "SMITH^JOHN ROOM 3")[:8]
    _, catalog = merge(partitions, None, smallest_cell=3)
    names = ["DX-1", code, None]
    assert [
        catalog.filter(pl.col("scanner").eq_missing(pl.lit(name))).height for name in names
    ] == [5, 3, 1]
    for partition in partitions:
        shard = pl.read_parquet(partition.shard)["scanner"].drop_nulls()
        assert shard.str.starts_with("device-").all()
        assert "SMITH" in str(pl.read_parquet(partition.index)["scanner"].to_list()) or number > 1
        assert b"SMITH" not in partition.shard.read_bytes() + partition.ledger.read_bytes()
    _, catalog = merge(partitions, None, smallest_cell=2)
    assert set(catalog["scanner"]) == {"DX-1", "SMITH^JOHN ROOM 3", None}
    partitions[0].index.unlink()
    _, catalog = merge(partitions, None, smallest_cell=3)
    assert catalog.height == 9


def test_too_many_quarantined_files_stop_the_study(partitions):
    merge(partitions, SPLITS, most_quarantined=1 / 7)
    with pytest.raises(
        CatalogError,
        match=r"1 of 7 files are quarantined \(14\.3%\), more than the archive's most_quarantined "
        r"\(14\.2%\)\. Most frequent: 1 not_dicom\.",
    ):
        merge(partitions, SPLITS, most_quarantined=0.142)


def test_postponed_files_are_accounted_for_and_too_many_stop_the_study(partitions, tmp_path):
    listings, ledgers, shards = copied(partitions, tmp_path)
    k = next(k for k in range(4) if "quarantined" in set(pl.read_parquet(ledgers[k])["outcome"]))
    put_off = pl.read_parquet(ledgers[k]).with_columns(
        pl.col("outcome").replace("quarantined", "postponed"),
        pl.col("reason").replace("not_dicom", "read_error"),
    )
    write_table(ledgers[k], put_off.to_arrow())
    parts = partitions_of(listings, ledgers, shards)
    ledger, _ = merge(parts, SPLITS)
    assert ledger.filter(pl.col("outcome") == "postponed")["reason"].to_list() == ["read_error"]
    with pytest.raises(CatalogError, match=r"1 of 7 files are postponed .* 1 read_error"):
        merge(parts, SPLITS, most_quarantined=0.1)


def test_public_archives_are_all_pool(partitions):
    _, catalog = merge(partitions, None)
    assert set(catalog["split"]) == {"pool"}


@given(st.text(min_size=1, max_size=20))
def test_split_is_the_contract(patient):
    place = unit_interval(patient, "split")
    expected = "test" if place < 0.3 else "validation" if place < 0.4 else "pool"
    if 0.4 <= place < 0.6:
        expected = "train"
    if min(abs(place - edge) for edge in (0.3, 0.4, 0.6)) > 1e-9:
        assert split_of(patient, SPLITS) == expected


def test_splits_have_their_shares():
    names = [split_of(f"{number:032x}", SPLITS) for number in range(20_000)]
    shares = [names.count(name) / 20_000 for name in ("test", "validation", "train", "pool")]
    np.testing.assert_allclose(shares, [0.3, 0.1, 0.2, 0.4], atol=0.015)


def copied(partitions, folder):
    """The same partitions in another folder, to be damaged."""
    paths = [[], [], []]
    for partition in partitions:
        for target, path in zip(
            paths, (partition.listing, partition.ledger, partition.shard), strict=True
        ):
            copy = folder / path.parent.name / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            target.append(copy)
    return paths


def test_a_file_that_is_listed_but_not_in_the_ledger(partitions, tmp_path):
    listings, ledgers, shards = copied(partitions, tmp_path)
    with listings[2].open("a") as file:
        file.write("zz/new.dcm\t1\t1\n")
    with pytest.raises(CatalogError, match=r"but \d+ are listed: run the ingest of partition 2"):
        merge(partitions_of(listings, ledgers, shards), SPLITS)


def test_an_accepted_file_that_is_in_no_shard(partitions, tmp_path):
    listings, ledgers, shards = copied(partitions, tmp_path)
    full = max(range(4), key=lambda k: pl.read_parquet(shards[k]).height)
    write_table(shards[full], pl.read_parquet(shards[full]).head(0).to_arrow())
    with pytest.raises(CatalogError, match=r"accepted files, but its shard holds 0 images"):
        merge(partitions_of(listings, ledgers, shards), SPLITS)


def test_an_outcome_that_is_none(partitions, tmp_path):
    listings, ledgers, shards = copied(partitions, tmp_path)
    k = next(k for k in range(4) if "quarantined" in set(pl.read_parquet(ledgers[k])["outcome"]))
    lost = pl.read_parquet(ledgers[k]).with_columns(
        pl.col("outcome").replace("quarantined", "forgotten")
    )
    write_table(ledgers[k], lost.to_arrow())
    with pytest.raises(CatalogError, match=r"7 files are listed, but the ledger has 4 accepted"):
        merge(partitions_of(listings, ledgers, shards), SPLITS)


def test_a_missing_partition(partitions, tmp_path):
    listings, ledgers, shards = copied(partitions, tmp_path)
    with pytest.raises(CatalogError, match="partition 1 has no shard"):
        partitions_of(listings, ledgers, [shards[0], *shards[2:]])
    with pytest.raises(CatalogError, match="not a file of a partition"):
        partitions_of([tmp_path / "list.tsv"], ledgers, shards)


def test_sex_and_age_are_kept_where_asked_for_and_not_of_few_patients(
    make_dicom, make_image, tmp_path
):
    people = [("F", "031Y"), ("F", "035Y"), ("M", "039Y"), ("M", "089Y"), ("O", "003M")]
    for k, (sex, age) in enumerate(people):
        image = make_image(70, 80, 255, seed=k).astype("u1")
        tags = {"PatientID": f"patient-{k}", "PatientSex": sex, "PatientAge": age}
        make_dicom(tmp_path / "dicom" / f"{k}.dcm", image, k, **tags)
    partitions = build(tmp_path / "dicom", tmp_path, 2, demographics=("sex", "age_band"))
    _, catalog = merge(partitions, None, smallest_cell=2)
    assert sorted(catalog["sex"].fill_null("?")) == ["?", "F", "F", "M", "M"]
    assert sorted(catalog["age_band"].fill_null("?")) == ["18-39"] * 3 + ["?", "?"]
    _, catalog = merge(partitions, None)
    assert set(catalog["age_band"]) == {"0-17", "18-39", "80+"}
    _, catalog = merge(build(tmp_path / "dicom", tmp_path / "without", 1), None)
    assert not {"sex", "age_band"} & set(catalog.columns)
