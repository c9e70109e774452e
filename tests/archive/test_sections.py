"""Sections of reports."""

import pytest

from radscale_lib.archive.sections import split_report, tidy

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
