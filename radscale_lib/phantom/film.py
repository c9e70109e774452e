"""Render one film with its tubes, from a study and an image number."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radscale_lib.phantom.canvas import Canvas, Plane, Points, Pose
from radscale_lib.phantom.chest import bones, place_chest, tissue, vessels
from radscale_lib.phantom.devices import draw_leads, draw_tubes, tube_courses
from radscale_lib.phantom.disease import add_findings
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.exposure import expose, lay_markers
from radscale_lib.phantom.lateral import lateral_thickness
from radscale_lib.phantom.population import Study, View

POLYLINE_POINTS = 32
EDGE = 0.1
"""Distance from the film's edge, as a share of the shorter side, within which a tip cannot be
seen."""


@dataclass(frozen=True)
class Film:
    """A rendered film.

    Attributes:
        grey: float32 [height, width] in [0, 1]; bone is bright (MONOCHROME2 sense).
        polylines: centre line of each visible tube, [n, 2] as (x, y) in pixels, where (0, 0) is the
            centre of the upper left pixel; parts outside the film are cut off.
        masks: bool [height, width] of each visible tube.
        view: projection.
        spacing_mm: side of a pixel at the detector.
        unseen: tubes whose tip lies outside the film, or too near its edge (`EDGE`).
    """

    grey: Plane
    polylines: dict[str, Points]
    masks: dict[str, npt.NDArray[np.bool_]]
    view: View
    spacing_mm: float
    unseen: frozenset[str] = frozenset()


def render(study: Study, image: int, pixels: int) -> Film:
    """Render an image of a study; `pixels` is the film's shorter side.

    The same arguments give the same film. Every structure has its own random stream, so films of
    two studies that differ in one finding differ only in that finding.
    """
    site, view = study.patient.site, study.views[image]
    rng = stream(*study.key, image, "film")
    canvas = _canvas(pixels, rng)
    spacing = float(np.round(site.millimetres * rng.uniform(0.94, 1.06) / pixels, 4))
    polylines: dict[str, Points] = {}
    masks = {}
    unseen = set()
    if view == "LL":
        thickness = lateral_thickness(canvas, study, image)
    else:
        chest = place_chest(canvas, study, image)
        thickness = tissue(chest) + bones(chest) + add_findings(chest, vessels(chest))
        mottle = canvas.texture(rng)
        thickness += mottle * (0.02 + 0.045 * np.minimum(1.6 * chest.air, 1))
        pose = _pose(rng)
        courses = {name: canvas.move(course, pose) for name, course in tube_courses(chest).items()}
        tubes, coverage = draw_tubes(chest, courses)
        thickness = canvas.warp(thickness, pose) + tubes + draw_leads(chest, image)
        for name, course in courses.items():
            course = canvas.to_pixels(course)
            if not _inside(course[-1:], canvas, EDGE * pixels).all():
                unseen.add(name)
            line = _cut(course, canvas)
            if len(line) >= 2:
                polylines[name] = line
                masks[name] = coverage[name] > 0.5
    grey = expose(thickness, canvas, site, view == "AP", rng)
    grey = lay_markers(grey, canvas, stream(*study.key, image, "marker"))
    return Film(grey, polylines, masks, view, spacing, frozenset(unseen))


def _canvas(pixels: int, rng: np.random.Generator) -> Canvas:
    """A portrait, square or landscape film, as cassettes of 35 × 43 cm are turned."""
    shape, aspect = rng.random(), rng.uniform(1.12, 1.24)
    longer = round(pixels * aspect)
    if shape < 0.5:
        return Canvas(longer, pixels, pixels)
    if shape < 0.75:
        return Canvas(pixels, longer, pixels)
    return Canvas(pixels, round(pixels * rng.uniform(1.0, 1.03)), pixels)


def _pose(rng: np.random.Generator) -> Pose:
    return Pose(
        tilt=float(np.deg2rad(rng.normal(0, 2.0))),
        zoom=rng.uniform(0.90, 1.06),
        shift=(rng.normal(0, 0.015), rng.normal(0, 0.015)),
    )


def _cut(line: Points, canvas: Canvas) -> Points:
    """The longest part of a polyline on the film, resampled by length."""
    fine = np.linspace(0, len(line) - 1, 8 * len(line))
    dense = np.stack([np.interp(fine, np.arange(len(line)), line[:, k]) for k in (0, 1)], axis=1)
    inside = _inside(dense, canvas)
    turns = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
    start, stop = max(turns.tolist(), key=lambda run: run[1] - run[0], default=(0, 0))
    dense = dense[start:stop]
    if len(dense) < 2:
        return dense
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(dense, axis=0).T))])
    at = np.linspace(0, along[-1], POLYLINE_POINTS)
    return np.stack([np.interp(at, along, dense[:, k]) for k in (0, 1)], axis=1)


def _inside(points: Points, canvas: Canvas, margin: float = 0.0) -> npt.NDArray[np.bool_]:
    """Which points [n, 2] lie on the film, at least `margin` pixels from its edge: [n]."""
    edge = (canvas.width - 1, canvas.height - 1)
    return np.asarray(((points >= margin) & (points <= np.subtract(edge, margin))).all(axis=1))
