"""Tubes of a frontal film with their courses, and other devices (leads and wires)."""

from dataclasses import dataclass

import numpy as np

from radscale_lib.phantom.canvas import Plane, Points, smooth_curve
from radscale_lib.phantom.chest import Chest
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.population import CM_PER_UNIT, Tube


@dataclass(frozen=True)
class Look:
    """Appearance of a kind of tube: width in units, optical thickness, and radiopaque stripe."""

    width: float
    thickness: float
    hollow: bool
    stripe: float


LOOKS = {
    "ett": Look(0.024, 0.48, True, 0.006),
    "ngt": Look(0.014, 0.50, False, 0.0),
    "cvc": Look(0.0135, 0.50, False, 0.0),
    "chest_tube": Look(0.026, 0.58, True, 0.006),
}


def tube_height_cm(tube: Tube) -> float:
    """Height of an endotracheal tube's tip above the carina, cm (negative below it)."""
    match tube.tip:
        case "bronchus":
            height = -(0.02 + 0.05 * tube.depth)
        case "high":
            height = 0.17 + 0.05 * tube.depth
        case _:
            height = 0.06 + 0.07 * tube.depth
    return height * CM_PER_UNIT


def tube_courses(chest: Chest) -> dict[str, Points]:
    """Centre line of each tube from entry to tip, [48, 2] in units, before the pose."""
    courses = {
        "ett": _endotracheal,
        "ngt": _enteric,
        "cvc": _venous,
        "chest_tube": _pleural,
    }
    return {
        name: smooth_curve(np.array(courses[name](chest, tube), float))
        for name, tube in chest.study.tubes.items()
    }


def _endotracheal(chest: Chest, tube: Tube) -> list[tuple[float, float]]:
    rng = stream(*chest.study.key, "ett")
    x, carina = chest.carina
    tip = carina - tube_height_cm(tube) / CM_PER_UNIT
    course = [
        (x + 0.02 * rng.standard_normal(), -0.15),
        (x + 0.006 * rng.standard_normal(), 0.5 * tip),
        (x, min(tip, carina)),
    ]
    if tip > carina:
        course.append((x - 0.8 * (tip - carina), tip))
    return course


def _enteric(chest: Chest, tube: Tube) -> list[tuple[float, float]]:
    rng = stream(*chest.study.key, "ngt")
    centre, base = chest.centre, chest.lungs[1].base
    x = centre + 0.012 + 0.008 * rng.standard_normal()
    course = [
        (centre + 0.02 * rng.standard_normal(), -0.15),
        (x, 0.2),
        (x + 0.01 + 0.006 * rng.standard_normal(), 0.45),
    ]
    if tube.tip == "stomach":
        return [
            *course,
            (centre + 0.03, base - 0.02),
            (centre + 0.08 + 0.03 * rng.random(), base + 0.07),
            (centre + 0.12 + 0.08 * rng.random(), base + 0.09 + 0.08 * tube.depth),
        ]
    return [*course, (x + 0.015, 0.5 + 0.15 * tube.depth)]


def _venous(chest: Chest, tube: Tube) -> list[tuple[float, float]]:
    rng = stream(*chest.study.key, "cvc")
    centre, side, width = chest.centre, tube.side, chest.width
    vein = centre - 0.056 + 0.005 * rng.standard_normal()
    match tube.route:
        case "jugular":
            course = [
                (centre + side * (0.10 + 0.015 * rng.standard_normal()), -0.15),
                (centre + side * 0.078, 0.10),
            ]
        case "subclavian":
            course = [
                (centre + side * width * 0.95, chest.apex + 0.16),
                (centre + side * width * 0.62, chest.apex + 0.075),
                (centre + side * width * 0.30, chest.apex + 0.10),
            ]
        case _:
            course = [
                (centre + side * width * 1.30, chest.apex + 0.30 + 0.03 * rng.standard_normal()),
                (centre + side * width * 1.02, chest.apex + 0.12),
                (centre + side * width * 0.60, chest.apex + 0.085),
                (centre + side * width * 0.28, chest.apex + 0.095),
            ]
    if side > 0:
        course.append((centre + 0.02, 0.245))
    course.append((vein, 0.28))
    depth = {"svc": 0.34 + 0.06 * tube.depth, "junction": 0.43 + 0.04 * tube.depth}
    if tube.tip == "atrium":
        return [*course, (vein, 0.42), (centre - 0.03, 0.53 + 0.07 * tube.depth + chest.descent)]
    return [*course, (vein - 0.004, depth[tube.tip] + 0.5 * chest.descent)]


def _pleural(chest: Chest, tube: Tube) -> list[tuple[float, float]]:
    rng = stream(*chest.study.key, "chest_tube")
    side = tube.side
    entry = rng.uniform(0.50, 0.68)
    if tube.tip == "apex":
        end = (chest.centre + side * chest.width * rng.uniform(0.40, 0.68), 0.2 + 0.16 * tube.depth)
    else:
        end = (chest.centre + side * chest.width * rng.uniform(0.30, 0.6), 0.6 + 0.1 * tube.depth)
    inside = (chest.centre + side * chest.width * 0.88, 0.7 * entry + 0.3 * end[1])
    bend = 0.02 * rng.standard_normal(2)
    return [
        (chest.centre + side * chest.width * 1.25, entry),
        (chest.centre + side * chest.width * 1.02, entry - 0.02),
        inside,
        ((inside[0] + end[0]) / 2 + bend[0], (inside[1] + end[1]) / 2 + bend[1]),
        end,
    ]


def draw_tubes(chest: Chest, courses: dict[str, Points]) -> tuple[Plane, dict[str, Plane]]:
    """Optical thickness of all tubes, and the share of each pixel that each tube covers.

    Courses are drawn as given, so they must already be moved to the patient's pose.
    """
    site = chest.study.patient.site
    shape = (chest.canvas.height, chest.canvas.width)
    total, coverage = np.zeros(shape, np.float32), {}
    for name, course in courses.items():
        look = LOOKS[name]
        strokes = chest.canvas.strokes()
        strokes.lines([course], look.width)
        coverage[name] = strokes.plane()
        if look.hollow:
            strokes.lines([course], 0.6 * look.width, site.tube_core)
            strokes.lines([course], look.stripe, 1.0)
        contrast = site.tube_contrast * stream(*chest.study.key, name, "contrast").uniform(
            0.65, 1.25
        )
        total += (look.thickness * contrast) * strokes.plane()
    return total, coverage


def draw_leads(chest: Chest, image: int) -> Plane:
    """Optical thickness of ECG leads: electrodes with wires that leave the film."""
    rng = stream(*chest.study.key, image, "leads")
    strokes = chest.canvas.strokes()
    wired = rng.random() < 0.30 + 0.5 * chest.study.sickness
    if wired:
        for _ in range(int(rng.integers(1, 5))):
            x = chest.centre + rng.uniform(-0.33, 0.33)
            y = rng.uniform(0.15, 0.75)
            end = np.array([rng.choice([-0.12, 1.12]), rng.uniform(0, 0.9)])
            middle = (np.array([x, y]) + end) / 2 + 0.08 * rng.standard_normal(2)
            strokes.lines([smooth_curve(np.array([(x, y), middle, end]), 24)], 0.009, 0.8)
            strokes.disc((x, y), 0.014, 0.9)
    return 0.45 * strokes.plane()
