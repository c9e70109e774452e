"""What lexical F1 takes reports to say, sentence by sentence and on whole reports."""

from functools import cache

import numpy as np
import pytest

from radscale_lib import languages
from radscale_lib.labels.rules import RuleReader
from radscale_lib.labels.states import ABSENT, NOT_MENTIONED, PRESENT, UNCERTAIN
from radscale_lib.languages.phrases import has_phrases, phrases
from radscale_lib.metrics.lexical_f1 import f1
from radscale_lib.phantom.population import draw_patient, draw_study
from radscale_lib.phantom.reports import write_report
from radscale_lib.phantom.sites import FINDINGS, TUBES
from radscale_lib.study.archive import PHRASED
from radscale_lib.tasks.lexical import claim_counts, states

LABELS = [*FINDINGS, *TUBES]


@pytest.fixture(scope="module")
def reader():
    return RuleReader(LABELS, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The heart is mildly enlarged.", {"cardiomegaly": PRESENT}),
        ("The heart is not enlarged.", {"cardiomegaly": ABSENT}),
        ("Heart size is normal.", {"cardiomegaly": ABSENT}),
        ("No pleural effusion or pneumothorax.", {"effusion": ABSENT, "pneumothorax": ABSENT}),
        ("Small left EFFUSIONS.", {"effusion": PRESENT}),
        ("No effusion. Pulmonary edema.", {"effusion": ABSENT, "edema": PRESENT}),
        ("No edema, but a large effusion.", {"edema": ABSENT, "effusion": PRESENT}),
        ("Cardiomegaly without edema.", {"cardiomegaly": PRESENT, "edema": ABSENT}),
        ("Possible nodule.", {"nodule": UNCERTAIN}),
        ("Pneumothorax cannot be excluded.", {"pneumothorax": UNCERTAIN}),
        ("Cannot exclude a small effusion.", {"effusion": UNCERTAIN}),
        ("Atelectasis versus consolidation.", dict.fromkeys(("atelectasis", "consolidation"), -1)),
        ("Possible edema with a large effusion.", {"edema": UNCERTAIN, "effusion": PRESENT}),
        ("Pneumothorax has resolved.", {"pneumothorax": ABSENT}),
        ("The chest tube has been removed.", {"chest_tube": ABSENT}),
        ("ET tube removed.", {"ett": ABSENT}),
        ("Stable effusion, ET tube removed.", {"effusion": PRESENT, "ett": ABSENT}),
        ("ET tube and NG tube have been removed.", {"ett": ABSENT, "ngt": ABSENT}),
        (
            "ET tube, NG tube, and right chest tube removed.",
            {"ett": ABSENT, "ngt": ABSENT, "chest_tube": ABSENT},
        ),
        ("ET tube in place. NG tube removed.", {"ett": PRESENT, "ngt": ABSENT}),
        ("Status post chest tube removal, no PTX.", {"chest_tube": ABSENT, "pneumothorax": ABSENT}),
        ("The chest tube should be removed.", {"chest_tube": PRESENT}),
        ("Small apical PTX.", {"pneumothorax": PRESENT}),
        ("Endotracheal tube tip 3.2 cm above the carina.", {"ett": PRESENT}),
        ("Right PICC; NG tube in the stomach.", {"cvc": PRESENT, "ngt": PRESENT}),
        ("No change in the left effusion.", {"effusion": PRESENT}),
        ("Effusion was seen before. No effusion now.", {"effusion": PRESENT}),
        ("Nodule possible. Nodule in the apex.", {"nodule": PRESENT}),
        ("No nodule. Possible nodule.", {"nodule": UNCERTAIN}),
        ("", {}),
    ],
)
def test_sentences(reader, text, said):
    (row,) = states(reader, [text])
    found = {
        label: int(state)
        for label, state in zip(LABELS, row, strict=True)
        if state != NOT_MENTIONED
    }
    assert found == said


@pytest.mark.parametrize("site", ["institution", "public"])
def test_phantom_reports_are_read_as_they_were_written(reader, site):
    """The archive's own record of what it wrote is the truth; denials may go unread."""
    studies = [draw_study(draw_patient(3, site, number), 0) for number in range(150)]
    reports = [write_report(study) for study in studies]
    read = states(reader, [report.findings for report in reports])
    agreed = total = 0
    for report, row in zip(reports, read, strict=True):
        for label, state in zip(LABELS, row, strict=True):
            truth = report.mentions.get(label, NOT_MENTIONED)
            if truth in {PRESENT, UNCERTAIN}:
                total += 1
                agreed += int(state == truth)
            else:
                assert state in {ABSENT, NOT_MENTIONED}, (label, report.findings)
    assert agreed / total > {"institution": 0.99, "public": 0.9}[site]


def test_readers_do_not_change_each_other(reader):
    before = states(reader, ["Atelectasis versus consolidation."])
    RuleReader(["effusion"], {"effusion": ("wet lung",)})
    assert np.array_equal(before, states(reader, ["Atelectasis versus consolidation."]))


def test_a_study_adds_phrases_to_a_label():
    reader = RuleReader(["effusion", "wires"], {"effusion": ("wet … lung",), "wires": ("lead",)})
    read = states(reader, ["Wet left lung.", "No leads.", "Wires.", "Effusion."])
    assert read.tolist() == [[1, -2], [-2, 0], [-2, 1], [1, -2]]


def test_labels_find_their_phrases_under_other_names():
    reader = RuleReader(["Pleural_Effusion", "endotracheal-tube", "Unheard_of"], {})
    read = states(reader, ["Small effusion.", "The ETT is in place.", "Unheard of."])
    assert read.tolist() == [[1, -2, -2], [-2, 1, -2], [-2, -2, 1]]


PAIRS = np.array([[a, b] for a in (1, 0, -1, -2) for b in (1, 0, -1, -2)], np.int8)


@pytest.mark.parametrize(
    ("uncertain", "expected"),
    [("ignore", (2, 4, 2)), ("positive", (4, 4, 4)), ("negative", (1, 3, 3))],
)
def test_claims_under_each_policy(uncertain, expected):
    """Over all 16 pairs of states: 2 or 1 claims against 1 or 2 affirmations."""
    counts = claim_counts(PAIRS[:, [0]], PAIRS[:, [1]], uncertain)
    assert counts.shape == (16, 1, 3)
    assert tuple(counts[:, 0].sum(0)) == expected


def test_f1():
    assert f1(np.array([2, 1, 1])) == pytest.approx(2 / 3)
    assert f1(np.array([0, 3, 2])) == 0
    assert np.isnan(f1(np.array([0, 3, 0])))


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (
            "de",
            "Kein Nachweis eines Pneumothorax, kein Pleuraerguss.",
            {"pneumothorax": ABSENT, "effusion": ABSENT},
        ),
        ("de", "Das Herz ist deutlich vergrößert.", {"cardiomegaly": PRESENT}),
        ("de", "Herz nicht vergrößert.", {"cardiomegaly": ABSENT}),
        (
            "de",
            "Kleiner Pleuraerguss links, aber kein Pneumothorax.",
            {"effusion": PRESENT, "pneumothorax": ABSENT},
        ),
        ("de", "Verdacht auf Rundherd rechts apikal.", {"nodule": UNCERTAIN}),
        ("de", "Pneumothorax nicht auszuschließen.", {"pneumothorax": UNCERTAIN}),
        ("de", "Atelektasen nicht nachweisbar.", {"atelectasis": ABSENT}),
        ("de", "Erguss, ZVK entfernt.", {"effusion": PRESENT, "cvc": ABSENT}),
        ("fr", "Sonde nasogastrique retirée.", {"ngt": ABSENT}),
        (
            "es",
            "No se observa derrame pleural ni neumotórax.",
            {"effusion": ABSENT, "pneumothorax": ABSENT},
        ),
        ("es", "Cardiomegalia con edema.", {"cardiomegaly": PRESENT, "edema": PRESENT}),
        ("es", "Posible nódulo.", {"nodule": UNCERTAIN}),
        ("fr", "Pas d'épanchement pleural.", {"effusion": ABSENT}),
        (
            "fr",
            "Absence de pneumothorax. Cardiomégalie.",
            {"pneumothorax": ABSENT, "cardiomegaly": PRESENT},
        ),
        ("fr", "Probable nodule.", {"nodule": UNCERTAIN}),
        (
            "pt",
            "Não há derrame pleural. Nódulo à direita.",
            {"effusion": ABSENT, "nodule": PRESENT},
        ),
        ("pt", "Sem sinais de pneumotórax.", {"pneumothorax": ABSENT}),
    ],
)
def test_other_languages(readers, code, text, said):
    read = states(readers(code), [text])[0]
    found = {
        label: state for label, state in zip(LABELS, read, strict=True) if state != NOT_MENTIONED
    }
    assert found == said


@pytest.fixture(scope="module")
def readers():
    return cache(lambda code: RuleReader(LABELS, {}, code))


def test_the_study_knows_which_languages_have_phrases():
    assert {code for code in languages.codes() if has_phrases(code)} == PHRASED


@pytest.mark.parametrize("code", sorted(PHRASED))
def test_every_language_names_the_same_labels(code):
    assert set(phrases(code).mentions) <= set(phrases("en").mentions)
    assert {*FINDINGS, "ett", "ngt", "cvc", "chest tube"} <= set(phrases(code).mentions)
