"""Reports and labels of a study: templates with synonyms, negation, hedging and omissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radscale_lib.phantom.devices import tube_height_cm
from radscale_lib.phantom.disease import nodule_radius
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.population import CM_PER_UNIT, Finding, Study, Tube
from radscale_lib.phantom.sites import FINDINGS, TUBES

MENTIONED = 0.97
"""Share of the present findings and tubes that the report mentions."""
HEDGED = 0.08
"""Share of the mentioned findings that the report leaves uncertain."""
FALSELY_HEDGED = 0.01
"""Share of the absent findings that the report leaves uncertain."""
NEGATED = 0.50
"""Share of the absent findings that the report denies."""

Label = Literal[1, 0, -1] | None


@dataclass(frozen=True)
class Report:
    """A report; `mentions` says how the text refers to each finding and tube.

    A mention is 1 (stated), −1 (uncertain) or 0 (denied); omitted ones have none.
    """

    findings: str
    impression: str
    mentions: Mapping[str, Literal[1, 0, -1]]


@dataclass(frozen=True)
class Wording:
    """Vocabulary of a site: alternatives per term, filled by `str.format`."""

    sides: Mapping[tuple[int, ...], Sequence[str]]
    grades: Sequence[str]
    zones: Sequence[str]
    stated: Mapping[str, Sequence[str]]
    denied: Mapping[str, Sequence[str]]
    hedges: Sequence[str]
    tubes: Mapping[str, Mapping[str, Sequence[str]]]
    openings: Mapping[bool, Sequence[str]]
    comparisons: Sequence[str]
    normal: Sequence[str]
    short: Mapping[str, Sequence[str]]


_INSTITUTION = Wording(
    sides={(-1,): ("right",), (1,): ("left",), (-1, 1): ("bilateral",)},
    grades=("small", "moderate", "large"),
    zones=("upper", "mid", "lower"),
    stated={
        "cardiomegaly": ("The heart is enlarged.", "Cardiomegaly.", "Enlarged cardiac silhouette."),
        "effusion": ("{Grade} {side} pleural effusion.", "There is a {grade} {side} effusion."),
        "pneumothorax": ("{Grade} {side} pneumothorax.", "There is a {grade} {side} pneumothorax."),
        "consolidation": (
            "{Side} {zone} lung consolidation.",
            "Airspace opacity in the {side} {zone} lung.",
            "{Side} {zone} zone airspace consolidation.",
        ),
        "nodule": (
            "{Side} {zone} lung nodule measuring {cm} cm.",
            "{cm} cm {side} pulmonary nodule.",
            "Nodular opacity in the {side} {zone} lung.",
        ),
        "edema": ("{Degree} pulmonary edema.", "{Degree} interstitial edema."),
        "atelectasis": ("{Side} basilar atelectasis.", "Linear atelectasis at the {side} base."),
    },
    denied={
        "cardiomegaly": ("Heart size is normal.", "Normal cardiac silhouette."),
        "effusion": ("No pleural effusion.", "No effusion."),
        "pneumothorax": ("No pneumothorax.", "No evidence of pneumothorax."),
        "consolidation": ("No focal consolidation.", "No airspace opacity."),
        "nodule": ("No suspicious nodule.",),
        "edema": ("No pulmonary edema.", "No overt edema."),
        "atelectasis": ("No atelectasis.",),
    },
    hedges=(
        "Possible {name}.",
        "{Name} cannot be excluded.",
        "Findings may represent {name}.",
        "Questionable {name}.",
    ),
    tubes={
        "ett": {
            "trachea": ("Endotracheal tube tip {cm} cm above the carina.",),
            "high": ("Endotracheal tube is high, {cm} cm above the carina.",),
            "bronchus": ("Endotracheal tube in the right mainstem bronchus.",),
        },
        "ngt": {
            "stomach": ("Enteric tube tip in the stomach.", "Nasogastric tube in the stomach."),
            "oesophagus": ("Enteric tube tip in the esophagus, advance.",),
        },
        "cvc": {
            "svc": ("{Side} {route} central line tip in the SVC.",),
            "junction": ("{Side} {route} catheter tip at the cavoatrial junction.",),
            "atrium": ("{Side} {route} catheter tip in the right atrium.",),
        },
        "chest_tube": {
            "apex": ("{Side} apical chest tube.", "{Side} chest tube in place."),
            "base": ("{Side} basilar chest tube.", "{Side} chest tube in place."),
        },
    },
    openings={
        True: ("Portable AP view.", "Single AP view.", ""),
        False: ("Upright chest.", "Frontal chest radiograph.", ""),
    },
    comparisons=("Compared with the prior radiograph.", "Prior study reviewed."),
    normal=("No acute cardiopulmonary process.", "Normal chest.", "Clear lungs."),
    short={
        "cardiomegaly": ("Cardiomegaly.",),
        "effusion": ("{Side} effusion.",),
        "pneumothorax": ("{Side} pneumothorax.",),
        "consolidation": ("{Side} pneumonia.", "{Side} consolidation."),
        "nodule": ("{Side} nodule, CT advised.", "{Side} pulmonary nodule."),
        "edema": ("Pulmonary edema.",),
        "atelectasis": ("{Side} atelectasis.",),
    },
)

_PUBLIC = Wording(
    sides={
        (-1,): ("right", "right-sided"),
        (1,): ("left", "left-sided"),
        (-1, 1): ("bilateral",),
    },
    grades=("mild", "moderate", "marked"),
    zones=("superior", "middle", "inferior"),
    stated={
        "cardiomegaly": ("Increased cardiothoracic index.", "Enlarged heart shadow."),
        "effusion": ("{Grade} {side} pleural fluid.", "Blunting of the {side} costophrenic angle."),
        "pneumothorax": ("{Grade} {side} pneumothorax with visible pleural line.",),
        "consolidation": (
            "{Side} {zone} field infiltrate.",
            "Alveolar opacity, {side} {zone} field.",
            "{Side} consolidation, {zone} field.",
        ),
        "nodule": ("{Side} round opacity of {mm} mm.", "{Side} {zone} field nodule, {mm} mm."),
        "edema": ("Signs of {degree} congestion.", "{Degree} pulmonary venous congestion, edema."),
        "atelectasis": ("{Side} laminar atelectasis.", "Loss of volume at the {side} base."),
    },
    denied={
        "cardiomegaly": ("Cardiothoracic index within normal limits.", "Heart not enlarged."),
        "effusion": ("Costophrenic angles are free.", "Without pleural effusion."),
        "pneumothorax": ("Without pneumothorax.",),
        "consolidation": ("Without infiltrates.", "No consolidation seen."),
        "nodule": ("Without nodular lesions.",),
        "edema": ("Without signs of congestion.",),
        "atelectasis": ("Lungs well expanded.",),
    },
    hedges=("Suspected {name}.", "{Name}, to be confirmed.", "{Name} is not ruled out."),
    tubes={
        "ett": {
            "trachea": ("Tracheal tube {cm} cm from the carina.",),
            "high": ("Tracheal tube too high, {cm} cm from the carina.",),
            "bronchus": ("Tracheal tube in right main bronchus.",),
        },
        "ngt": {
            "stomach": ("Gastric tube below the diaphragm.", "Feeding tube in the stomach."),
            "oesophagus": ("Gastric tube ends above the diaphragm.",),
        },
        "cvc": {
            "svc": ("{Side} {route} venous catheter, tip in superior vena cava.",),
            "junction": ("{Side} {route} venous catheter at the atrial junction.",),
            "atrium": ("{Side} {route} venous catheter reaching the atrium.",),
        },
        "chest_tube": {
            "apex": ("{Side} pleural drain, apical.",),
            "base": ("{Side} pleural drain, basal.",),
        },
    },
    openings={True: ("AP projection.", "Bedside film.", ""), False: ("Chest film.", "")},
    comparisons=("Control film.", "With respect to the previous film."),
    normal=("No relevant findings.", "Chest film without pathology."),
    short={
        "cardiomegaly": ("Heart enlargement.",),
        "effusion": ("{Side} pleural fluid.",),
        "pneumothorax": ("{Side} pneumothorax.",),
        "consolidation": ("{Side} infiltrate.",),
        "nodule": ("{Side} nodule, follow up.",),
        "edema": ("Congestion.",),
        "atelectasis": ("{Side} atelectasis.",),
    },
)

WORDINGS = {"institution": _INSTITUTION, "public": _PUBLIC}

_DEGREES = ("mild", "moderate", "severe")
_ROUTES = {"jugular": "jugular", "subclavian": "subclavian", "arm": "PICC"}


def write_report(study: Study) -> Report:
    """The report of a study: tubes, then findings and denials in random order, an impression."""
    words = WORDINGS[study.patient.site.name]
    rng = stream(*study.key, "report")
    mentions: dict[str, Literal[1, 0, -1]] = {}
    lines, summary = [], []
    for name in TUBES:
        if name in study.tubes and rng.random() < MENTIONED:
            mentions[name] = 1
            lines.append(_tube_line(words, name, study.tubes[name], rng))
    body = []
    for name in FINDINGS:
        mention, hedge, deny = rng.random(3)
        if name in study.findings:
            if mention >= MENTIONED:
                continue
            if hedge < HEDGED:
                mentions[name] = -1
            else:
                mentions[name] = 1
                terms = _finding_terms(words, study.findings[name], rng)
                body.append(_pick(words.stated[name], rng).format(**terms))
                summary.append(_pick(words.short[name], rng).format(**terms))
        elif deny < NEGATED:
            mentions[name] = 0
            body.append(_pick(words.denied[name], rng))
        elif deny > 1 - FALSELY_HEDGED:
            mentions[name] = -1
    uncertain = [_hedge(words, name, rng) for name in FINDINGS if mentions.get(name) == -1]
    body += uncertain
    lines += [body[index] for index in rng.permutation(len(body))]
    normal = _pick(words.normal, rng)
    opening = _pick(words.openings[study.views[0] == "AP"], rng)
    if study.number and rng.random() < 0.5:
        opening = _pick(words.comparisons, rng)
    if opening:
        lines.insert(0, opening)
    return Report(
        findings=" ".join(lines) or normal,
        impression=" ".join(summary[:3] or uncertain[:1] or [normal]),
        mentions=mentions,
    )


def write_labels(study: Study, report: Report) -> dict[str, Label]:
    """Structured labels of a study: the truth, −1 where the report hedges, a few blanks."""
    rng = stream(*study.key, "labels")
    labels: dict[str, Label] = {}
    for name, present in study.present.items():
        blank = rng.random() < 0.01
        if report.mentions.get(name) == -1:
            labels[name] = -1
        elif blank:
            labels[name] = None
        else:
            labels[name] = 1 if present else 0
    return labels


def _pick(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _hedge(words: Wording, name: str, rng: np.random.Generator) -> str:
    return _pick(words.hedges, rng).format(name=name, Name=_capital(name))


def _finding_terms(words: Wording, finding: Finding, rng: np.random.Generator) -> dict[str, str]:
    third = min(2, int(3 * finding.severity))
    side = _pick(words.sides[finding.sides], rng)
    diameter = 2 * nodule_radius(finding) * CM_PER_UNIT
    terms = {
        "side": side,
        "grade": words.grades[third],
        "degree": _DEGREES[third],
        "zone": words.zones[min(2, int(3 * finding.zone))],
    }
    capitals = {_capital(key): _capital(term) for key, term in terms.items()}
    return terms | capitals | {"cm": f"{diameter:.1f}", "mm": f"{10 * diameter:.0f}"}


def _tube_line(words: Wording, name: str, tube: Tube, rng: np.random.Generator) -> str:
    template = _pick(words.tubes[name][tube.tip], rng)
    side = _capital(_pick(words.sides[(tube.side,)], rng))
    height = abs(tube_height_cm(tube)) if name == "ett" else 0.0
    return template.format(Side=side, route=_ROUTES.get(tube.route, ""), cm=f"{height:.0f}")
