import re

import numpy as np
import pytest

from radscale_lib.phantom import draw_patient, draw_study
from radscale_lib.phantom.population import Study
from radscale_lib.phantom.reports import Report, write_labels, write_report
from radscale_lib.phantom.sites import FINDINGS, SITES, TUBES

# Words that speak of a finding or tube, written down from the reports' side.
SPEAKS_OF = {
    "cardiomegaly": r"heart|cardiac|cardiomegaly|cardiothoracic",
    "effusion": r"effusion|pleural fluid|costophrenic",
    "pneumothorax": r"pneumothorax",
    "consolidation": r"consolidation|airspace|infiltrate|alveolar|pneumonia",
    "nodule": r"nodul|round opacity",
    "edema": r"edema|congestion",
    "atelectasis": r"atelectasis|loss of volume|well expanded",
    "ett": r"endotracheal|tracheal tube",
    "ngt": r"enteric tube|nasogastric|gastric tube|feeding tube",
    "cvc": r"central line|catheter",
    "chest_tube": r"chest tube|pleural drain",
}
DENIES = r"^(no |without|normal|heart size is normal|lungs well|costophrenic angles are free)|"
DENIES += r"within normal limits|not enlarged|no consolidation seen"
HEDGES = r"possible|cannot be excluded|may represent|questionable|suspected|to be confirmed|"
HEDGES += r"not ruled out"


def reported(site: str) -> list[tuple[Study, Report]]:
    drawn = [
        draw_study(patient, number)
        for patient in (draw_patient(3, site, number) for number in range(500))
        for number in range(patient.studies)
    ]
    return [(study, write_report(study)) for study in drawn]


def sentences(text: str) -> list[str]:
    return [part.strip().lower() for part in re.split(r"\.(?:\s|$)", text) if part]


@pytest.mark.parametrize("site", SITES)
def test_text_says_what_the_mentions_say(site: str) -> None:
    for study, report in reported(site):
        said = sentences(report.findings)
        for name in (*FINDINGS, *TUBES):
            about = [s for s in said if re.search(SPEAKS_OF[name], s)]
            mention = report.mentions.get(name)
            if mention is None:
                assert not about, (name, report.findings)
                continue
            assert len(about) == 1, (name, report.findings)
            denied = bool(re.search(DENIES, about[0]))
            hedged = bool(re.search(HEDGES, about[0]))
            assert mention == (-1 if hedged else 0 if denied else 1), (name, about)
            if mention >= 0:
                assert study.present[name] == (mention == 1)


@pytest.mark.parametrize("site", SITES)
def test_labels_are_the_truth_but_for_hedges_and_blanks(site: str) -> None:
    pairs = [(study, report, write_labels(study, report)) for study, report in reported(site)]
    values = [value for *_, labels in pairs for value in labels.values()]
    assert 0.005 < np.mean([value == -1 for value in values]) < 0.04
    assert 0.003 < np.mean([value is None for value in values]) < 0.02
    for study, report, labels in pairs:
        assert tuple(labels) == (*FINDINGS, *TUBES)
        for name, value in labels.items():
            assert (value == -1) == (report.mentions.get(name) == -1)
            if value in (0, 1):
                assert bool(value) == study.present[name]


@pytest.mark.parametrize("site", SITES)
def test_reports_are_short_and_nearly_complete(site: str) -> None:
    pairs = reported(site)
    words = [len(f"{r.findings} {r.impression}".split()) for _, r in pairs]
    assert 22 <= np.median(words) <= 40
    assert np.percentile(words, 95) <= 52
    complete = [all(r.mentions.get(name) for name in s.findings) for s, r in pairs]
    assert 0.90 < np.mean(complete) < 0.97
    denied = [r.mentions.get(n) == 0 for s, r in pairs for n in FINDINGS if not s.present[n]]
    assert 0.4 < np.mean(denied) < 0.6  # not every negative is mentioned
    assert all(r.findings and r.impression for _, r in pairs)
    assert not any("{" in r.findings + r.impression for _, r in pairs)


@pytest.mark.parametrize("site", SITES)
def test_laterality(site: str) -> None:
    checked = 0
    for study, report in reported(site):
        text = f"{report.findings} {report.impression}".lower()
        words = set(re.findall("[a-z]+", text))
        stated = [f for n, f in study.findings.items() if report.mentions.get(n) == 1]
        if study.tubes or len(stated) != 1 or "cardiomegaly" in study.findings:
            continue
        if "edema" in study.findings:
            continue
        expected = {(-1,): "right", (1,): "left", (-1, 1): "bilateral"}[stated[0].sides]
        others = {"right", "left", "bilateral"} - {expected}
        assert expected in words
        assert words.isdisjoint(others)
        checked += 1
    assert checked > 50


def test_sites_use_partly_different_words() -> None:
    vocabularies = {
        site: {word for _, r in reported(site) for word in re.findall(r"[a-z]+", r.findings)}
        for site in SITES
    }
    a, b = vocabularies.values()
    assert 0.15 < len(a & b) / len(a | b) < 0.7
