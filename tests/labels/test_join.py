"""From what sources say to the labels' tables, and how far sources agree."""

import numpy as np
import polars as pl
import pytest

from radscale_lib.labels.agreement import compare, share
from radscale_lib.labels.join import compare_sources, count_states, known_states, write_labels
from radscale_lib.labels.states import MISSING
from radscale_lib.shards.labels import label_files, read_with_labels, targets
from tests.labels.conftest import study_id

COLUMNS = [
    "image_id",
    "study_id",
    "split",
    "labelled",
    "finding:effusion",
    "finding:nodule",
    "tube:ett",
]


def joined(archive, section, parts, folder="pool", dropped=()):
    write_labels(section, archive.catalog, parts, archive.folder, dropped)
    return read_with_labels(archive.catalog, COLUMNS, section, archive.folder / folder)


def test_images_have_what_their_reports_say(archive, labels, said):
    """States stay apart: not mentioned is blank, what could not be read is not negative."""
    section = labels(source="rules")
    states = {
        0: said("present"),
        4: said("uncertain"),
        8: said("not_mentioned"),
        12: said("missing"),
        1: said("present"),
    }
    table = joined(archive, section, {"rules": archive.parts("rules", states)})
    pool = table.filter(pl.col("split") == "pool")
    by_study = {row["study_id"]: row for row in pool.iter_rows(named=True)}
    assert len(pool) == 2 * len(by_study) == 10
    effusions = [by_study[study_id(n)]["finding:effusion"] for n in (0, 4, 8, 12, 16)]
    assert effusions == [1, -1, None, -3, -3]
    assert [by_study[study_id(n)]["labelled"] for n in (0, 12, 16)] == [True, True, False]
    truth = targets(pool, ["finding:effusion"], section)[::2, 0]
    np.testing.assert_array_equal(truth, np.float32([1, np.nan, 0, np.nan, np.nan]))
    assert not table.filter(pl.col("split") != "pool")["labelled"].any()
    held_out = read_with_labels(archive.catalog, COLUMNS, section, archive.folder / "held-out")
    assert held_out.filter(pl.col("split") == "train")["finding:effusion"].to_list()[:2] == [1, 1]
    assert held_out.columns == COLUMNS


def test_later_sources_fill_in(archive, labels, said):
    """A table that covers half of the studies comes first; its blanks are its own."""
    states = {number: said("uncertain") for number in range(20)}
    states[19] = said("missing")
    parts = {"rules": archive.parts("rules", states)}
    section = labels(source=["table", "rules"])
    table = joined(archive, section, parts, "held-out")
    first = table.filter(pl.col("study_id") == study_id(1))
    assert first["finding:effusion"].to_list() == [None, None]
    later = table.filter(pl.col("study_id") == study_id(17))
    assert later["finding:effusion"].to_list() == [-1, -1]
    assert table.filter(pl.col("study_id") == study_id(19))["finding:effusion"].to_list() == [
        -3,
        -3,
    ]
    other = joined(archive, labels(source=["rules", "table"]), parts, "held-out")
    assert other.filter(pl.col("study_id") == study_id(1))["finding:effusion"].to_list() == [-1] * 2


def test_test_patients_may_have_another_source(archive, labels, said):
    parts = {"rules": archive.parts("rules", {n: said("uncertain") for n in range(20)})}
    section = labels(source="rules", test_source="table")
    table = joined(archive, section, parts, "held-out")
    tested = table.filter(pl.col("split") == "test")
    assert set(tested["labelled"]) == {True, False}
    assert set(tested.filter("labelled")["finding:nodule"]) == {0}
    trained = table.filter(pl.col("split") == "train")
    assert set(trained["finding:effusion"]) == {-1} and trained["labelled"].all()


def test_a_dropped_label_is_unknown_unless_another_source_knows_it(archive, labels, said):
    parts = {"rules": archive.parts("rules", {n: said("present") for n in range(20)})}
    alone = joined(archive, labels(source="rules"), parts, dropped=["effusion"])
    pool = alone.filter(pl.col("split") == "pool")
    assert set(pool["finding:effusion"]) == {-3} and set(pool["finding:nodule"]) == {0}
    filled = joined(archive, labels(source=["rules", "table"]), parts, dropped=["effusion"])
    known = filled.filter(pl.col("split") == "pool", pl.col("study_id") < study_id(10))
    assert set(known["finding:effusion"]) == {1}


def test_tables_of_a_group_stay_as_they_are_when_another_changes(archive, labels, said):
    section = labels(source="rules")
    states = {n: said("present") for n in range(20)}
    joined(archive, section, {"rules": archive.parts("rules", states)})
    files = [
        f for name in ("pool", "held-out") for f in label_files(section, archive.folder / name)
    ]
    before = {file: file.read_bytes() for file in files}
    states = {n: said("present", ett="present") for n in range(20)}
    joined(archive, section, {"rules": archive.parts("rules", states)})
    changed = {
        file.relative_to(archive.folder).as_posix()
        for file in files
        if file.read_bytes() != before[file]
    }
    assert changed == {"pool/tubes.parquet", "held-out/tubes.parquet"}


def test_counts_and_agreement(archive, labels, said):
    states = {n: said("present" if n % 2 == 0 else "not_mentioned") for n in range(20)}
    states[1] = said("present")
    states[3] = said("missing")
    section = labels(source="rules", compared="table")
    found = known_states(section, archive.catalog, {"rules": archive.parts("rules", states)})
    counts = count_states(found).filter(pl.col("label") == "effusion", pl.col("source") == "rules")
    assert dict(counts.select("state", "studies").iter_rows()) == {
        "present": 11, "absent": 0, "uncertain": 0, "not_mentioned": 8, "missing": 1,
    }  # fmt: skip
    few = count_states(found, 5).filter(pl.col("state") == "missing", pl.col("label") == "effusion")
    assert few["studies"].to_list() == [None, 0]
    hidden = count_states(found, 5).filter(pl.col("studies").is_null(), pl.col("source") == "rules")
    told_by_the_sum = [("effusion", "not_mentioned"), ("effusion", "missing")]
    assert hidden.select("label", "state").rows() == told_by_the_sum
    row = compare_sources(found).row(by_predicate=pl.col("label") == "effusion", named=True)
    assert (row["source"], row["reference"], row["studies"], row["present"]) == (
        "rules",
        "table",
        9,
        5,
    )
    assert row["agreement"] == pytest.approx(8 / 9)
    assert row["precision"] == pytest.approx(5 / 6) and row["recall"] == 1
    assert row["kappa"] == pytest.approx((8 / 9 - 42 / 81) / (1 - 42 / 81))


def test_wilson():
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662."""
    assert share(81, 263, 263)[1:] == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share(0, 0, 0) == (None, None, None)
    assert share(5, 5, 5).upper == 1 and share(0, 5, 5).lower == 0
    # Equal weights are none; unequal ones count as fewer cases.
    assert share(162, 526, 1052) == pytest.approx(share(81, 263, 263))
    assert share(81, 263, 1000).lower < 0.2553


def test_what_is_uncertain_or_missing_is_no_hit():
    """Of three that are present one is found so, one is doubted, and of one nothing is known."""
    pairs = pl.DataFrame(
        {
            "found": [1, 1, 0, -2, -1, MISSING],
            "true": [1, -1, -2, 0, 1, 1],
            "weight": [1.0] * 6,
        }
    )
    row = compare(pairs, "nodule", "rules", "audit")
    assert (row["precision"], row["agreement"]) == (1 / 2, pytest.approx(3 / 5))
    assert row["recall"] == pytest.approx(1 / 3)
    assert compare(pairs, "nodule", "rules", "audit", 7)["agreement"] is None
    few = compare(pairs, "nodule", "rules", "audit", 4)
    assert few["studies"] == 6 and few["agreement"] and few["present"] is few["recall"] is None
    assert compare(pairs.clear(), "nodule", "rules", "audit")["studies"] is None
