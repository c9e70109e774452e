"""Patients and studies: who is imaged, with which findings and tubes.

Sides refer to the image: −1 is its left (the patient's right), +1 its right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.sites import FINDINGS, SITES, TUBES, Site

View = Literal["PA", "AP", "LL"]
Sides = tuple[int, ...]

CM_PER_UNIT = 40.0
"""Anatomical lengths are shares of this many centimetres."""


@dataclass(frozen=True)
class Habitus:
    """Shape of one patient's chest; lengths are shares of the 40 cm field."""

    centre: float
    lung_width: float
    apex: float
    dome: float
    heart: float
    fat: float
    breasts: bool
    ribs: int
    rib_slope: float
    bone: float
    scoliosis: float
    air: float
    vessels: float


@dataclass(frozen=True)
class Patient:
    """A patient; `frailty` in [0, 1] makes findings, tubes and bedside films likelier."""

    seed: int
    number: int
    site: Site
    sex: Literal["F", "M"]
    birth_year: int
    frailty: float
    studies: int
    habitus: Habitus


@dataclass(frozen=True)
class Finding:
    """A finding that is present.

    Attributes:
        severity: 0 is barely visible, 1 is gross.
        sides: affected lungs.
        zone: height of a focal finding, 0 at the apex, 1 at the base.
    """

    severity: float
    sides: Sides
    zone: float


@dataclass(frozen=True)
class Tube:
    """A tube in place.

    Attributes:
        side: side of entry (both sides of a CVC's vein, a chest tube's pleura).
        route: where it enters: `mouth`, `jugular`, `subclavian`, `arm` or `pleura`.
        tip: name of the place where it ends.
        depth: exact position of the tip, in [0, 1].
    """

    side: int
    route: str
    tip: str
    depth: float


@dataclass(frozen=True)
class Study:
    """One examination: everything that its images and its report share."""

    patient: Patient
    number: int
    sickness: float
    views: tuple[View, ...]
    findings: Mapping[str, Finding]
    tubes: Mapping[str, Tube]

    @property
    def key(self) -> tuple[int, str, int, int]:
        """Prefix of the keys of this study's random streams."""
        return (self.patient.seed, self.patient.site.name, self.patient.number, self.number)

    @property
    def present(self) -> dict[str, bool]:
        """Truth of every finding and tube."""
        return {name: name in self.findings for name in FINDINGS} | {
            name: name in self.tubes for name in TUBES
        }


def draw_patient(seed: int, site_name: str, number: int) -> Patient:
    """The patient with a number at a site."""
    site = SITES[site_name]
    rng = stream(seed, site_name, number, "patient")
    normal = rng.standard_normal
    sex: Literal["F", "M"] = "F" if rng.random() < 0.48 else "M"
    age = float(np.clip(60 + 17 * normal(), 18, 95))
    return Patient(
        seed=seed,
        number=number,
        site=site,
        sex=sex,
        birth_year=2015 - round(age),
        frailty=float(rng.beta(1.3, 1.3)),
        studies=int(rng.choice(3, p=(0.45, 0.35, 0.2))) + 1,
        habitus=Habitus(
            centre=0.5 + 0.010 * normal(),
            lung_width=float(np.clip(site.size + 0.022 * normal(), 0.34, 0.45)),
            apex=0.095 + 0.016 * normal(),
            dome=0.735 + 0.028 * normal(),
            heart=0.152 + 0.014 * normal(),
            fat=float(np.clip(site.fat + 0.2 * normal(), 0.55, 1.7)),
            breasts=sex == "F",
            ribs=int(rng.integers(9, 12)),
            rib_slope=0.17 + 0.025 * normal(),
            bone=float(np.clip(1 + 0.2 * normal() - 0.004 * (age - 60), 0.5, 1.5)),
            scoliosis=0.010 * normal(),
            air=float(1 + 0.06 * normal()),
            vessels=float(np.clip(1 + 0.25 * normal(), 0.4, 1.5)),
        ),
    )


def draw_study(patient: Patient, number: int) -> Study:
    """The study with a number of a patient."""
    rng = stream(patient.seed, patient.site.name, patient.number, number, "study")
    sickness = float(0.55 * patient.frailty + 0.45 * rng.beta(1.3, 1.3))
    critical = sickness > 0.56
    present = {
        name: rng.random() < patient.site.prevalence[name] * (0.4 + 1.2 * sickness)
        for name in FINDINGS
    }
    present["effusion"] |= present["edema"] and rng.random() < 0.35
    findings = {name: _draw_finding(rng) for name in FINDINGS}
    bedside = critical or rng.random() < patient.site.portable
    second = rng.random()
    views: tuple[View, ...]
    if bedside:
        views = ("AP", "AP") if second < 0.2 else ("AP",)
    else:
        views = ("PA", "LL") if second < 0.35 else ("PA", "PA") if second < 0.45 else ("PA",)
    return Study(
        patient=patient,
        number=number,
        sickness=sickness,
        views=views,
        findings={name: findings[name] for name in FINDINGS if present[name]},
        tubes=_draw_tubes(rng, patient.site.tubes, critical, present, findings),
    )


def _draw_finding(rng: np.random.Generator) -> Finding:
    sides: tuple[Sides, ...] = ((-1,), (1,), (-1, 1))
    return Finding(
        severity=float(rng.beta(1.6, 1.3)),
        sides=sides[rng.choice(3, p=(0.42, 0.38, 0.2))],
        zone=float(rng.random()),
    )


def _draw_tubes(
    rng: np.random.Generator,
    share: float,
    critical: bool,
    present: Mapping[str, bool],
    findings: Mapping[str, Finding],
) -> dict[str, Tube]:
    ett = critical and rng.random() < 0.5 * share
    shares = {
        "ett": float(ett),
        "ngt": 0.6 if ett else 0.14 * share,
        "cvc": (0.6 if critical else 0.18) * share,
        "chest_tube": share
        * (0.5 if present["pneumothorax"] else 0.2 if present["effusion"] else 0.06),
    }
    cause = findings["pneumothorax" if present["pneumothorax"] else "effusion"]
    tubes: dict[str, Tube] = {}
    for name in TUBES:
        wanted, misplaced, side, route, depth = rng.random(5)
        if wanted >= shares[name]:
            continue
        bad = misplaced < 0.22
        match name:
            case "ett":
                tip = ("bronchus" if depth < 0.6 else "high") if bad else "trachea"
                tubes[name] = Tube(-1, "mouth", tip, float(rng.random()))
            case "ngt":
                tip = "oesophagus" if bad else "stomach"
                tubes[name] = Tube(1, "mouth", tip, float(depth))
            case "cvc":
                entry = "jugular" if route < 0.5 else "subclavian" if route < 0.8 else "arm"
                tip = "atrium" if bad else "svc" if depth < 0.7 else "junction"
                tubes[name] = Tube(-1 if side < 0.65 else 1, entry, tip, float(rng.random()))
            case _:
                tip = "apex" if route < 0.6 else "base"
                tubes[name] = Tube(cause.sides[0], "pleura", tip, float(depth))
    return tubes
