"""Sections of reports."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from radscale_lib import languages
from radscale_lib.archive.sections import Texts, split_report, splitter, tidy

LAYOUTS = [
    pytest.param(code, layout, id=f"{code}: {layout['name']}")
    for code, layouts in tomllib.loads(
        Path(__file__).with_name("layouts.toml").read_text("utf-8")
    ).items()
    for layout in layouts
]

MIMIC_LIKE = """
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  Cough.

 COMPARISON:  None.

 FINDINGS:

 The lungs are clear.  No effusion:
 none at all.

 IMPRESSION:

 No acute process.
"""


@pytest.mark.parametrize(
    ("report", "findings", "impression"),
    [
        (MIMIC_LIKE, "The lungs are clear. No effusion: none at all.", "No acute process."),
        ("Lungs clear.\nHeart normal.", "Lungs clear. Heart normal.", None),
        ("FINDINGS: Clear. IMPRESSION: Normal.", "Clear.", "Normal."),
        ("Impression: Normal.", None, "Normal."),
        ("Findings: Clear.\nConclusion: Normal.", "Clear.", "Normal."),
        ("Clear. The impression: is normal.", "Clear. The impression: is normal.", None),
        ("HISTORY: Cough.", None, None),
        ("FINDINGS: A. FINDINGS: B.", "A. B.", None),
        ("Lead. FINDINGS: A.\n\nNOTIFICATION: told.", "A.", None),
        ("", None, None),
        (" \n ", None, None),
        ("FINDINGS:\nIMPRESSION:\n", None, None),
    ],
)
def test_split(report, findings, impression):
    assert split_report(report)[:2] == (findings, impression)


def test_indication_and_comparison_are_kept_apart():
    texts = split_report(MIMIC_LIKE + " REASON FOR EXAM: Fever.\n\nNOTIFICATION: told.\n")
    assert texts.indication == "Cough. Fever."
    assert texts.comparison == "None."
    assert split_report("Clear.")[2:] == (None, None)


def test_tidy():
    assert tidy("  a\n\tb ") == "a b"
    assert tidy(" ") is tidy(None) is None


@pytest.mark.parametrize(("code", "layout"), LAYOUTS)
def test_layouts(code, layout):
    expected = Texts(**{name: layout.get(name) for name in Texts._fields})
    assert split_report(layout["report"], code) == expected


def test_the_layouts_are_many():
    assert len(LAYOUTS) >= 60
    assert {layout.values[0] for layout in LAYOUTS} == set(languages.codes())


@pytest.mark.parametrize(
    ("report", "rules"),
    [
        ("Lungs clear.", {"no heading: all is findings"}),
        ("FINDINGS: Clear.", set()),
        ("FINDINGS\nClear.", {"heading without colon"}),
        ("HISTORY: Cough. FINDINGS: Clear.", {"heading within a line"}),
        ("Clear.\nIMPRESSION: Normal.", {"body before the first heading"}),
        ("COMPARISON: None.\n\nClear.\n\nIMPRESSION: Normal.", {"body after comparison"}),
        ("TECHNIQUE: AP.\n\nClear.", {"body after technique"}),
        ("REPORT: Clear.", {"body under a heading such as report"}),
        ("FINDINGS: Clear.\nADDENDUM: Nodule.", {"addendum"}),
        (" ", set()),
    ],
)
def test_what_each_rule_did_is_counted(report, rules):
    counts = Counter()
    splitter("en").split(report, counts)
    assert counts == Counter(rules)
