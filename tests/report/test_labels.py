"""What the report says of labels."""

import html

import polars as pl
import pytest

from radscale_lib.labels.agreement import SCHEMA
from radscale_lib.labels.join import COUNTS
from radscale_lib.report.labels import labels_section, sentences
from radscale_lib.study import parse_study
from tests.study.test_wrong_studies import DICOM_ONLY, ENDPOINT, edited

HOSPITAL = {**DICOM_ONLY, "reports": "r.csv", "labels": "l.csv", "tubes": "t.csv"}
RULES = {"labels.source": "rules"}
LEAVE = ENDPOINT | {"texts_leave_institution": True}
OUTSIDE = {"labels.source": "endpoint", "labels.endpoint": LEAVE}
FLATTERS = "which flatters it compared with arms that learn from images alone"


@pytest.mark.parametrize(
    ("edits", "said", "unsaid"),
    [
        ({}, ["the archive's table of labels", "made from the test labels"], ["flatters"]),
        ({"institution": HOSPITAL}, ["made from the reports. If it was, it flatters"], [FLATTERS]),
        (RULES, ["taught mi2-reports and mi2-reports-labels", FLATTERS], ["It is not known"]),
        (
            RULES | {"labels.test_source": "table", "institution": HOSPITAL},
            ["Those of the test patients come from the archive's table", "It is not known"],
            [FLATTERS],
        ),
        (OUTSIDE, ["a language model that read the reports (m)", "outside of the institution"], []),
        (
            {"labels.source": ["table", "rules"]},
            ["table of labels, else rules that read the reports", FLATTERS],
            [],
        ),
        (
            RULES | {"arms": {}, "baselines": {"vit": {"encoder": "vit"}}, "bases": {}}
            | {"encoders": {"vit": {"kind": "timm", "name": "test_vit", "random": 1}}},
            ["what reports leave out or get wrong counts against every encoder"],
            ["flatters"],
        ),
    ],
)  # fmt: skip
def test_where_test_labels_come_from_and_what_follows(edits, said, unsaid):
    text = " ".join(sentences(parse_study(edited(edits))))
    assert [each for each in said if each not in text] == []
    assert [each for each in unsaid if each in text] == []


def test_counts_and_agreement_are_shown():
    states = {"present": 1200, "absent": 3, "uncertain": None, "not_mentioned": 0, "missing": 5}
    rows = [("rules", "ett", state, number) for state, number in states.items()]
    counts = pl.DataFrame(rows, schema=COUNTS, orient="row")
    row = dict.fromkeys(SCHEMA.names()) | {"label": "ett", "source": "rules", "reference": "audit"}
    agreed = {"agreement": 0.9, "agreement_lower": 0.85, "agreement_upper": 0.93}
    known = row | {"studies": 200} | agreed
    audit = pl.DataFrame([known, row], schema=SCHEMA)
    section = labels_section(parse_study(edited(RULES)), {"counts": counts, "audit": audit})
    assert section["counts"][0]["counts"] == ["1,200", "few", "3", "0", "5"]
    (shown,) = section["agreement"]
    assert shown["shares"] == ["0.900 (0.850 to 0.930)", "–", "–"] and shown["studies"] == "200"


def test_the_page_has_the_section(example):
    assert 'id="labels"' in example.html
    assert "Labels come from the archive's table of labels." in html.unescape(example.html)
    assert 'id="labels-counts"' not in example.html
