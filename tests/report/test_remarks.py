"""What is remarkable of accepted files is counted beside the reasons of the others."""

import polars as pl

from radscale_lib.report.document import _archive


def test_remarks_of_accepted_files_are_counted():
    rows = [
        ("accepted", None, None, "labelled, not drawn: ett"),
        ("accepted", None, None, "3 lines masked; labelled, not drawn: ett"),
        ("accepted", None, None, "12 lines masked"),
        ("accepted", None, None, None),
        ("postponed", "header", "read_error", "EIO"),
    ]
    ledger = pl.DataFrame(rows, schema=["outcome", "stage", "reason", "detail"], orient="row")
    assert [tuple(row.values()) for row in _archive("institution", ledger)["reasons"]] == [
        ("accepted", "labelled, not drawn: ett", "2"),
        ("accepted", "lines masked", "2"),
        ("postponed", "read_error", "1"),
    ]
