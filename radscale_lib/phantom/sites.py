"""The two sites: how their patients, films and reports differ."""

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
    """A device as its files show it (manufacturers and models are invented)."""

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
        fat: mean relative thickness of soft tissue.
        size: mean width of a lung pair's outline, as a share of the 40 cm field.
        portable: share of films taken at the bedside (AP) among patients who are not very ill.
        inspiration: mean descent of the diaphragm, as a share of the field.
        gamma: range of the exponent of the displayed grey.
        scatter: scattered relative to primary radiation, upright and at the bedside.
        tube_contrast: optical thickness of tubes relative to the institution's.
        tube_core: relative thickness inside a tube's wall (1 draws it solid).
        millimetres: mean length of the film's shorter side.
    """

    name: Literal["institution", "public"]
    prevalence: Mapping[str, float]
    fat: float
    size: float
    portable: float
    inspiration: float
    gamma: tuple[float, float]
    scatter: tuple[float, float]
    tube_contrast: float
    tube_core: float
    millimetres: float
    scanners: tuple[Scanner, ...]
    names: tuple[tuple[str, ...], tuple[str, ...]]


SITES = {
    "institution": Site(
        name="institution",
        prevalence={
            "cardiomegaly": 0.26,
            "effusion": 0.26,
            "pneumothorax": 0.16,
            "consolidation": 0.24,
            "nodule": 0.16,
            "edema": 0.17,
            "atelectasis": 0.22,
        },
        fat=1.05,
        size=0.405,
        portable=0.3,
        inspiration=0.0,
        gamma=(0.8, 1.3),
        scatter=(0.10, 0.22),
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
            "cardiomegaly": 0.20,
            "effusion": 0.20,
            "pneumothorax": 0.18,
            "consolidation": 0.28,
            "nodule": 0.20,
            "edema": 0.13,
            "atelectasis": 0.20,
        },
        fat=0.9,
        size=0.385,
        portable=0.2,
        inspiration=0.02,
        gamma=(0.65, 1.05),
        scatter=(0.16, 0.30),
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
