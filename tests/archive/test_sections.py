"""Sections of reports."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from radscale_lib import languages
from radscale_lib.archive.sections import Texts, split_report, splitter, tidy, tidy_lines

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
    assert running(split_report(report))[:2] == (findings, impression)


def running(texts):
    """Sections without their line ends."""
    return Texts(*map(tidy, texts))


@pytest.mark.parametrize(
    ("code", "report", "findings"),
    [
        (
            "en",
            "Indication: cough\nLungs: No effusion.\nHeart: big",
            "Lungs: No effusion.\nHeart: big",
        ),
        ("en", "History: cough\nMedication: aspirin\nLungs: clear", "Lungs: clear"),
        ("en", "INDICATION: Cough\nNarrative: There is a nodule.", "There is a nodule."),
        ("de", "Indikation: Husten\nHerz: groß", "Herz: groß"),
        ("en", "Indication: pain over the lungs\nand back", None),
    ],
)
def test_a_body_that_begins_with_an_organ_is_no_indication(code, report, findings):
    assert split_report(report, code).findings == findings


def test_sections_keep_their_lines():
    report = (
        "FINDINGS: \n- No  effusion\r\n\n \n- Left\tpneumothorax \nADDENDUM: Nodule.\n"
        "IMPRESSION: Pneumothorax."
    )
    found = "- No effusion\n- Left pneumothorax"
    assert split_report(report)[:2] == (found, "Nodule.\nPneumothorax.")


def test_indication_and_comparison_are_kept_apart():
    texts = split_report(MIMIC_LIKE + " REASON FOR EXAM: Fever.\n\nNOTIFICATION: told.\n")
    assert texts.indication == "Cough.\nFever."
    assert texts.comparison == "None."
    assert split_report("Clear.")[2:] == (None, None)


def test_tidy():
    assert tidy("  a\n\tb ") == "a b"
    assert tidy(" ") is tidy(None) is None
    assert tidy_lines(" a  b \r\n\n \n\tc\n") == "a b\nc"
    assert tidy_lines(" \n") is tidy_lines(None) is None


@pytest.mark.parametrize(("code", "layout"), LAYOUTS)
def test_layouts(code, layout):
    expected = Texts(**{name: layout.get(name) for name in Texts._fields})
    assert running(split_report(layout["report"], code)) == expected


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
