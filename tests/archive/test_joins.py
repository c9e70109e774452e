"""Joins: by which keys, never across patients, and audited over the whole archive."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.archive import jointable
from radscale_lib.archive.catalog import CatalogError, merge, partitions_of
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.joinkeys import ALL_DIFFERENCES, differences, key_of, without
from radscale_lib.archive.jointable import TableError, write_join_table
from radscale_lib.archive.listing import refresh
from radscale_lib.study.archive import Archive, Image, Join, Joins, Labels, Select
from tests.archive.conftest import smooth, write_dicom

KEY = b"0123456789abcdef"
LABELS = Labels(findings=("effusion",), tubes=("ett",))
SMALL = {"image": Image(shorter_side=16), "select": Select(minimum_pixels=8)}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\0", "\u00a0", "0", "00000000", "0.0", "0000-0000", "9999", "N/A", "n/a", "NA"),
        *("none", "NULL", "NaN", "Unknown", "XXXX", "xxx", "----", "?", ".", "#N/A", "#REF!"),
        *("#NAME?", "#NV", "Anonymous", "TEST", "unbekannt", "not available", "\u3000", "\uff10"),
    ],
)
def test_what_is_no_key(text):
    assert key_of(text) == ""


@pytest.mark.parametrize(
    ("text", "key"),
    [
        *((key, key) for key in ("1", "7", "10", "99", "1000", "A0", "00000001", "1.2.3", "11111")),
        (" A1\0", "A1"),
        ("\ufeffA1\u200b", "A1"),
        ("\u00a0A1\u3000", "A1"),
        ("\uff11\uff12\uff13\uff21", "123A"),
    ],
)
def test_what_is_a_key(text, key):
    assert key_of(text) == key


@pytest.mark.parametrize(
    ("header", "table", "expected"),
    [
        ("00000020", "20", ("leading_zeros",)),
        ("AB1", "ab1", ("case",)),
        ("00000020", "'00000020", ("apostrophe",)),
        ("00000020", '="00000020"', ("apostrophe",)),
        ("1000001", "1000001.0", ("decimals",)),
        ("01000001", "1000001.0", ("decimals", "leading_zeros")),
        ("RAD-2024 001", "rad2024001", ("case", "punctuation")),
        ("1", "1", ()),
        ("1", "2", None),
        ("10", "1", None),
        ("A01", "A1", None),
        ("1000001.5", "1000001", None),
    ],
)
def test_differences(header, table, expected):
    assert differences(header, table) == expected


@given(
    text=st.text("0123456789ABCab -/'.", min_size=1, max_size=10),
    some=st.sets(st.sampled_from(ALL_DIFFERENCES)),
)
def test_what_is_ignored_makes_equal_texts(text, some):
    """Keys that are equal without some differences are equal without more of them."""
    less = without(text, some)
    assert without(less, some) == less or "'" in text
    assert differences(text, text) == ()


def folder_of(tmp_path, files):
    """An archive of images: name -> tags."""
    for number, (name, tags) in enumerate(files.items()):
        tags = {"StudyInstanceUID": f"1.2.3.5.{number}", "PatientID": f"p{number}"} | tags
        write_dicom(
            tmp_path / "dicom" / name, smooth(16, 20, 255, number).astype("u1"), number, **tags
        )
    return tmp_path / "dicom"


class Run:
    """Partitions and catalog of an archive."""

    def __init__(self, tmp_path, files, partitions=1, limit=1.0, ignore=(), **tables):
        dicom = tmp_path / "dicom"
        if not dicom.exists():
            folder_of(tmp_path, files)
        out = tmp_path / f"out{partitions}"
        refresh(dicom, out / "listing", partitions)
        paths = {}
        for name, rows in tables.items():
            paths[name] = tmp_path / f"{name}.csv"
            rows.write_csv(paths[name])
        joins = Joins(**{name: Join(ignore=ignore) for name in tables})
        archive = Archive(dicom=dicom, joins=joins, **paths, **SMALL)
        for k in range(partitions):
            outputs = Outputs(
                *(out / kind / f"part={k}.parquet" for kind in ("index", "ledger", "shards"))
            )
            sources = Sources(dicom, **paths)
            ingest(archive, LABELS, KEY, "id", out / "listing" / f"part={k}.tsv", sources, outputs)
        parts = partitions_of(
            *(sorted((out / kind).iterdir()) for kind in ("listing", "ledger", "shards"))
        )
        merge(
            parts, None, 1.0, out / "ledger.parquet", out / "catalog.parquet",
            joins=out / "joins.parquet", most_unmatched=dict.fromkeys(tables, limit),
        )  # fmt: skip
        self.shards = pl.concat(pl.read_parquet(part.shard) for part in parts)
        self.catalog = pl.read_parquet(out / "catalog.parquet")
        self.joins = {
            row["table"]: row for row in pl.read_parquet(out / "joins.parquet").rows(named=True)
        }


def reports(*keys, name="accession_number", **more):
    texts = {"findings": [f"Text {n}." for n in range(len(keys))]} | more
    return pl.DataFrame({name: list(keys), **texts}, strict=False)


@pytest.mark.parametrize("key", ["77", "1.2.3", "AB-1"])
@pytest.mark.parametrize("partitions", [1, 5])
def test_a_key_that_patients_share_joins_nothing(tmp_path, key, partitions):
    """Also where each partition sees one of them only, and with labels and tubes at hand."""
    files = {f"{n}.dcm": {"AccessionNumber": key} for n in range(4)}
    files |= {"own.dcm": {"AccessionNumber": "OWN"}, "none.dcm": {"AccessionNumber": ""}}
    labels = pl.DataFrame({"accession_number": [key, "OWN"], "effusion": [1, 1], "ett": [0, 0]})
    tubes = pl.DataFrame(
        {"sop_instance_uid": ["1.2.3.4.0"], "label": ["ett"], "data": ["[[1, 2], [3, 4]]"]}
    )
    run = Run(tmp_path, files, partitions, reports=reports(key, "OWN"), labels=labels, tubes=tubes)
    assert run.catalog["findings"].drop_nulls().to_list() == ["Text 1."]
    assert run.catalog["labelled"].sum() == 1
    assert run.catalog["finding:effusion"].drop_nulls().to_list() == [1]
    drawn = run.catalog["tubes"].drop_nulls().to_list()
    assert sorted(drawn) == sorted(["[]", *(text for text in drawn if "ett" in text)])
    assert len(drawn) == 2
    found = run.joins["reports"]
    assert (found["rows_matched"], found["rows_shared"], found["rows_unmatched"]) == (1, 1, 0)
    assert (found["images_matched"], found["images_shared"], found["images_unmatched"]) == (1, 4, 1)
    if partitions == 1:
        assert run.shards["findings"].drop_nulls().to_list() == ["Text 1."]


def test_what_is_taken_back_does_not_depend_on_the_partitions(tmp_path):
    files = {
        f"{n}.dcm": {"AccessionNumber": f"K{n // 2}", "PatientID": f"p{n % 5}"} for n in range(10)
    }
    runs = [Run(tmp_path, files, n, reports=reports("K0", "K1", "K2", "K3")) for n in (1, 3, 6)]
    columns = pl.exclude("shard", "row", "digest")
    for run in runs[1:]:
        assert run.catalog.select(columns).equals(runs[0].catalog.select(columns))
        assert run.joins == runs[0].joins


def test_an_image_that_loses_its_text_has_another_digest(tmp_path):
    files = {f"{n}.dcm": {"AccessionNumber": "77"} for n in range(2)}
    run = Run(tmp_path, files, 5, reports=reports("77"))
    both = run.catalog.join(run.shards, on="image_id", suffix="_before")
    changed = both.filter(pl.col("findings_before").is_not_null())
    assert changed.height == 2
    assert (changed["digest"] != changed["digest_before"]).all()


def test_a_patient_of_an_excluded_file_shares_a_key_too(tmp_path):
    files = {
        "a.dcm": {"AccessionNumber": "77"},
        "ct.dcm": {"AccessionNumber": "77", "Modality": "CT"},
        "b.dcm": {"AccessionNumber": "78", "Modality": "CT"},
    }
    run = Run(tmp_path, files, reports=reports("77", "78"))
    assert run.catalog["findings"].null_count() == 1
    assert (run.joins["reports"]["rows_matched"], run.joins["reports"]["rows_shared"]) == (1, 1)


def test_a_row_is_joined_by_the_first_key_that_it_fills(tmp_path):
    files = {f"{n}.dcm": {"AccessionNumber": f"A{n}"} for n in range(4)}
    table = pl.DataFrame(
        {
            "study_instance_uid": ["1.2.3.5.0", None, "N/A", "1.2.9"],
            "accession_number": [None, "A1", "A2", "A3"],
            "findings": ["a", "b", "c", "d"],
        }
    )
    run = Run(tmp_path, files, reports=table)
    assert sorted(run.catalog["findings"].drop_nulls()) == ["a", "b", "c"]
    assert run.joins["reports"]["near"] == [{"difference": "other_key", "rows": 1}]


def test_near_matches_are_said_and_joined_by_a_setting_only(tmp_path):
    files = {f"{n}.dcm": {"AccessionNumber": f"{n + 1:08}"} for n in range(5)}
    keys = ["1", "2", "3.0", "'00000004", "00000005"]
    run = Run(tmp_path, files, 3, reports=reports(*keys))
    assert run.catalog["findings"].drop_nulls().to_list() == ["Text 4."]
    assert run.joins["reports"]["near"] == [
        {"difference": "leading_zeros:8", "rows": 2},
        {"difference": "decimals+leading_zeros:8", "rows": 1},
        {"difference": "apostrophe", "rows": 1},
    ]
    with pytest.raises(CatalogError) as caught:
        Run(tmp_path, files, 3, 0.79, reports=reports(*keys))
    message = str(caught.value)
    assert message.startswith(
        "reports: 4 of 5 rows (80.0%) are joined to no file, more than joins.reports."
        "most_unmatched (79.0%): 4 with a key that no file has; 2 of 5 rows would match if padded "
        "with zeros to 8 digits (joins.reports.ignore: [leading_zeros]); 1 of 5 rows would match "
        "without decimals and if padded with zeros to 8 digits "
        "(joins.reports.ignore: [decimals, leading_zeros]); "
    )
    joined = Run(
        tmp_path, files, 3, 0.0, ("apostrophe", "decimals", "leading_zeros"), reports=reports(*keys)
    )
    assert joined.catalog["findings"].null_count() == 0


def test_keys_that_only_differ_in_what_is_ignored_are_shared(tmp_path):
    files = {"a.dcm": {"AccessionNumber": "0012"}, "b.dcm": {"AccessionNumber": "12"}}
    run = Run(tmp_path, files, 1, ignore=("leading_zeros",), reports=reports("12"))
    assert run.catalog["findings"].null_count() == 2
    assert run.joins["reports"]["rows_shared"] == 1


def test_every_row_is_accounted_for(tmp_path):
    files = {
        f"{n}.dcm": {"AccessionNumber": f"A{n // 2}", "PatientID": f"p{n // 2}"} for n in range(6)
    }
    table = reports("A0", "A1", "0", "N/A", "", None, "B9", findings=["x", None, *"abcde"])
    found = Run(tmp_path, files, 2, reports=table).joins["reports"]
    counts = {name: count for name, count in found.items() if isinstance(count, int)}
    assert counts == {
        "rows": 7, "rows_matched": 2, "rows_shared": 0, "rows_placeholder": 2,
        "rows_without_key": 2, "rows_unmatched": 1, "images": 6, "images_matched": 4,
        "images_shared": 0, "images_unmatched": 2, "images_without_text": 2,
        "studies_matched": 4, "studies_unmatched": 2,
    }  # fmt: skip


def test_a_table_without_rows_stops_nothing(tmp_path):
    run = Run(tmp_path, {"a.dcm": {}}, 1, 0.0, reports=reports())
    assert (run.joins["reports"]["rows"], run.joins["reports"]["images_unmatched"]) == (0, 1)


def test_an_archive_without_tables_has_an_empty_audit(tmp_path):
    assert Run(tmp_path, {"a.dcm": {}}).joins == {}


@pytest.mark.parametrize("key", ["1.23457E+12", "1,23457E+12", "1e+5"])
def test_a_key_that_lost_digits_is_refused(tmp_path, key):
    path = tmp_path / "reports.csv"
    reports("A1", key).write_csv(path)
    with pytest.raises(TableError, match="accession_number: row 3 holds a number in scientific"):
        write_join_table("reports", path, LABELS, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_contradicting_rows_are_found_wherever_they_are(tmp_path, monkeypatch):
    """Beyond the rows that are converted at a time, and not among placeholders."""
    monkeypatch.setattr(jointable, "_BATCH", 500)
    keys = [f"A{n}" for n in range(600)]
    path = tmp_path / "reports.csv"
    reports(*keys, "0", "0", "A7").write_csv(path)
    with pytest.raises(TableError) as caught:
        write_join_table("reports", path, LABELS, tmp_path / "out.parquet")
    assert "rows 9 and 604 have the same key and differ: keep one of them" in str(caught.value)
    texts = [*(["same"] * 600), "one", "other", "same"]
    reports(*keys, "0", "0", "A7", findings=texts).write_csv(path)
    facts = write_join_table("reports", path, LABELS, tmp_path / "out.parquet")
    assert (facts.rows, facts.placeholders) == (603, 2)


def test_spreadsheet_errors_in_texts_are_blank_and_refused_in_labels(tmp_path):
    files = {"a.dcm": {"AccessionNumber": "A1"}}
    run = Run(tmp_path, files, reports=reports("A1", findings=["#NAME?"]))
    assert run.catalog["findings"].to_list() == [None]
    assert run.joins["reports"]["images_without_text"] == 1
    path = tmp_path / "labels.csv"
    pl.DataFrame({"accession_number": ["A1"], "effusion": ["#N/A"], "ett": [0]}).write_csv(path)
    with pytest.raises(TableError, match="effusion: row 2 is not 1, 0, -1"):
        write_join_table("labels", path, LABELS, tmp_path / "out.parquet")
