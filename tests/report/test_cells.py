"""No count in the report reveals few files, rows or images, nor does a difference of two."""

import itertools
import random

import polars as pl
import pytest

from radscale_lib.report.cells import OTHERS, WITHHELD, apart, merged, told
from radscale_lib.report.document import _archive, _joins, _texts
from radscale_lib.report.flow import steps

SCHEMA = {"stage": pl.String, "outcome": pl.String, "reason": pl.String, "detail": pl.String}


def ledger_of(**counts: int) -> pl.DataFrame:
    """A ledger with the given number of files for each `stage__outcome__reason`."""
    rows = []
    for name, count in counts.items():
        stage, outcome, reason = name.split("__") if "__" in name else (None, "accepted", None)
        rows += [(stage, outcome, reason, None)] * count
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.mark.parametrize(
    ("count", "of", "text"),
    [
        (0, None, "0"),
        (3, None, "fewer than 10"),
        (10, 1000, "10"),
        (995, 1000, "all but fewer than 10"),
        (1000, 1000, "1,000"),
    ],
)
def test_few_are_told_as_few(count, of, text):
    assert told(count, 10, of) == text
    assert told(count, 1, of) == f"{count:,}"


@pytest.mark.parametrize(
    ("counts", "texts"),
    [
        ((500, 0, 20), ["500", "0", "20"]),
        ((500, 3, 20), ["500", "fewer than 10", WITHHELD]),
        ((500, 3, 8), ["500", "fewer than 10", "fewer than 10"]),
        ((500, 3, 4), [WITHHELD, "fewer than 10", "fewer than 10"]),
    ],
)
def test_the_sum_does_not_tell_what_is_left_out(counts, texts):
    assert apart(counts, 10) == texts


def test_reasons_of_few_files_are_counted_with_others():
    ledger = ledger_of(
        ok=1000, header__quarantined__a=12, pixels__quarantined__b=3, selection__excluded__c=500
    )
    shown = _archive("institution", ledger, 10)
    assert shown["counts"] == {
        "accepted": "1,000", "excluded": "500", "quarantined": "15", "duplicate": "0",
        "postponed": "0",
    }  # fmt: skip
    assert [tuple(row.values()) for row in shown["reasons"]] == [
        ("excluded", "c", "500"),
        ("quarantined", OTHERS, "15"),
    ]
    assert "12" not in shown["flow"].split("aria-label")[1].split("viewBox")[0]
    assert _archive("institution", ledger, 1)["counts"]["quarantined"] == "15"


def test_an_outcome_of_few_files_is_counted_with_another():
    shown = _archive("institution", ledger_of(ok=1000, s__excluded__c=500, p__quarantined__b=3), 10)
    assert shown["counts"]["quarantined"] == "fewer than 10"
    assert (shown["counts"]["excluded"], shown["total"]) == ("503", "1,503")


def test_where_few_were_not_accepted_the_total_does_not_tell_how_many():
    shown = _archive("institution", ledger_of(ok=1000, pixels__quarantined__b=3), 10)
    assert shown["total"] == "1,000 and fewer than 10"
    assert shown["counts"]["quarantined"] == "fewer than 10"
    assert "1,003" not in shown["flow"]
    assert shown["reasons"] == []


def test_all_counts_and_their_differences_are_of_many_files():
    rng = random.Random(16)
    for _ in range(60):
        counts = {
            f"{stage}__{outcome}__{reason}": rng.choice([0, 1, 3, 9, 10, 40])
            for stage, outcome, reason in itertools.product(
                ("header", "selection", "pixels"), ("excluded", "quarantined"), "ab"
            )
        }
        refused = sum(counts.values())
        shown = merged(ledger_of(ok=50, **counts), 10)
        atoms = shown.filter(pl.col("outcome") != "accepted").group_by(
            "stage", "outcome", "reason"
        ).len()  # fmt: skip
        assert atoms["len"].min() in (None, *range(10, 1000))
        assert atoms["len"].sum() == (refused if refused >= 10 else 0)
        passed = [step.passed for step in steps(shown)]
        assert all(a == b or a - b >= 10 for a, b in itertools.pairwise(passed))


def test_joins_and_texts_tell_no_small_count():
    audit = pl.DataFrame(
        {
            "table": ["reports"], "keys": ["accession_number"], "rows": [1000],
            "rows_matched": [900], "rows_shared": [4], "rows_placeholder": [0],
            "rows_without_key": [0], "rows_unmatched": [96],
            "near": [[{"difference": "case", "rows": 5}]],
            "images": [1203], "images_matched": [1200], "images_shared": [3],
            "images_without_text": [7],
        }
    )  # fmt: skip
    shown = _joins("institution", audit, 10)
    few = "fewer than 10"
    assert shown["rows"][0]["counts"] == ["1,000", "900", few, "0", WITHHELD, WITHHELD, few]
    assert [note.partition(" images")[0] for note in shown["notes"]] == [
        "reports: fewer than 10 of 1,000 rows would match if case did not count "
        "(joins.reports.ignore: [case]).",
        f"reports: {few}",
        f"reports: {few}",
    ]
    counts = pl.DataFrame(
        [("language", "en", 1190), ("language", "de", 3), ("marks", "dates", 4)],
        schema=["step", "rule", "count"],
        orient="row",
    )
    assert [row["count"] for row in _texts("institution", counts, 10)["rows"]] == [
        WITHHELD, few, few,
    ]  # fmt: skip
