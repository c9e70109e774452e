"""The two sites: how their patients, films and reports differ.

docs/methods/phantom-shift.md gives the reasons for the differences, with sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FINDINGS = (
    "cardiomegaly",
    "effusion",
    "pneumothorax",
    "consolidation",
    "nodule",
    "edema",
    "atelectasis",
)
TUBES = ("ett", "ngt", "cvc", "chest_tube")

Window = Literal["none", "linear", "linear_exact", "sigmoid", "lut"]


@dataclass(frozen=True)
class Scanner:
    """A device as it appears in its files (manufacturers and models are invented)."""

    manufacturer: str
    model: str
    modality: Literal["CR", "DX"]
    bits: int
    inverted: bool
    window: Window


@dataclass(frozen=True)
class Site:
    """Distributions of one site.

    Attributes:
        prevalence: share of studies with a finding, before co-occurrence.
        tubes: shares of studies with a tube, relative to the institution's.
        fat: mean relative thickness of soft tissue.
        size: mean width of a lung pair's outline, as a share of the 40 cm field.
        portable: share of films taken at the bedside (AP) among patients who are not very ill.
        inspiration: mean descent of the diaphragm, as a share of the field.
        gamma: range of the exponent of the displayed grey.
        scatter: scattered relative to primary radiation, upright and at the bedside.
        quanta: detected quanta relative to the mean of both sites.
        detail: range of the gain by which detail is enhanced before display.
        tube_contrast: optical thickness of tubes relative to the institution's.
        tube_core: relative thickness inside a tube's wall (1 draws it solid).
        millimetres: mean length of the film's shorter side.
    """

    name: Literal["institution", "public"]
    prevalence: Mapping[str, float]
    tubes: float
    fat: float
    size: float
    portable: float
    inspiration: float
    gamma: tuple[float, float]
    scatter: tuple[float, float]
    quanta: float
    detail: tuple[float, float]
    tube_contrast: float
    tube_core: float
    millimetres: float
    scanners: tuple[Scanner, ...]
    names: tuple[tuple[str, ...], tuple[str, ...]]


SITES = {
    "institution": Site(
        name="institution",
        prevalence={
            "cardiomegaly": 0.30,
            "effusion": 0.30,
            "pneumothorax": 0.18,
            "consolidation": 0.24,
            "nodule": 0.14,
            "edema": 0.24,
            "atelectasis": 0.24,
        },
        tubes=1.0,
        fat=1.15,
        size=0.41,
        portable=0.6,
        inspiration=0.0,
        gamma=(0.95, 1.45),
        scatter=(0.10, 0.22),
        quanta=1.4,
        detail=(0.5, 1.2),
        tube_contrast=1.0,
        tube_core=0.45,
        millimetres=395.0,
        scanners=(
            Scanner("Northlight Imaging", "NL-Chest 3", "DX", 14, False, "linear"),
            Scanner("Northlight Imaging", "NL-Mobile", "DX", 12, False, "sigmoid"),
            Scanner("Rautavaara Medical", "Plate 85", "CR", 10, True, "none"),
            Scanner("Rautavaara Medical", "Plate 85", "CR", 12, False, "lut"),
            Scanner("Corvid Systems", "DR-700", "DX", 16, False, "linear_exact"),
        ),
        names=(
            ("Alder", "Birkett", "Corwen", "Dunmore", "Elsworth", "Farrow", "Garth", "Hesketh"),
            ("Ada", "Bram", "Clea", "Dov", "Edda", "Finn", "Greta", "Hale"),
        ),
    ),
    "public": Site(
        name="public",
        prevalence={
            "cardiomegaly": 0.15,
            "effusion": 0.17,
            "pneumothorax": 0.13,
            "consolidation": 0.19,
            "nodule": 0.22,
            "edema": 0.12,
            "atelectasis": 0.20,
        },
        tubes=0.7,
        fat=0.88,
        size=0.385,
        portable=0.05,
        inspiration=0.02,
        gamma=(0.6, 0.95),
        scatter=(0.16, 0.30),
        quanta=0.7,
        detail=(0.0, 0.3),
        tube_contrast=0.75,
        tube_core=0.85,
        millimetres=415.0,
        scanners=(
            Scanner("Ostrobothnia X", "OX 9", "DX", 12, True, "linear"),
            Scanner("Ostrobothnia X", "OX 9 mobile", "DX", 14, True, "none"),
            Scanner("Halcyon Plates", "HP-2", "CR", 10, False, "linear"),
            Scanner("Halcyon Plates", "HP-4", "CR", 12, True, "lut"),
        ),
        names=(
            ("Ito", "Jansson", "Kowal", "Lindqvist", "Moreau", "Nakai", "Okafor", "Petrov"),
            ("Ines", "Jonas", "Katya", "Luis", "Mina", "Nils", "Odile", "Pavel"),
        ),
    ),
}
