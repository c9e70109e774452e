"""The chest of one frontal film: positions of organs, and their optical thickness."""

from dataclasses import dataclass

import numpy as np

from radscale_lib.phantom.canvas import Canvas, Plane, Points, as_plane, cap, sigmoid
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.population import Study

SIDES = (-1, 1)


@dataclass(frozen=True)
class Lung:
    """One lung's outline: rows are [height, 1], the dome is [1, width].

    Attributes:
        side: −1 image left, +1 image right.
        centre, half: middle and half width of each row.
        dome: y of the diaphragm in each column; `base` is its highest point.
        air: thickness of air, in [0, 1].
    """

    side: int
    centre: Plane
    half: Plane
    dome: Plane
    base: float
    air: Plane

    def middle(self, y: float, canvas: Canvas) -> tuple[float, float]:
        """Centre and half width at height y."""
        row = int(np.clip(y * canvas.pixels, 0, canvas.height - 1))
        return float(self.centre[row, 0]), float(self.half[row, 0])


@dataclass(frozen=True)
class Chest:
    """Geometry of one frontal film, positions in units of the canvas."""

    canvas: Canvas
    study: Study
    bedside: bool
    centre: float
    width: float
    apex: float
    descent: float
    lungs: dict[int, Lung]
    carina: tuple[float, float]
    hila: dict[int, tuple[float, float]]

    @property
    def air(self) -> Plane:
        """Thickness of air of both lungs."""
        return self.lungs[-1].air + self.lungs[1].air


def place_chest(canvas: Canvas, study: Study, image: int) -> Chest:
    """Position the patient for one image of the study."""
    habitus, site = study.patient.habitus, study.patient.site
    rng = stream(*study.key, image, "position")
    normal = rng.standard_normal
    bedside = study.views[image] == "AP"
    centre = habitus.centre + 0.014 * normal()
    shift = 0.015 * normal() + 0.01
    descent = site.inspiration + rng.uniform(-0.03, 0.02) - (0.025 if bedside else 0) + shift
    apex = habitus.apex + shift
    collapse = study.findings.get("atelectasis")
    lungs = {}
    raised = (0, 0, 0, 0, -1, 1)[int(rng.integers(6))] * rng.uniform(0.02, 0.05)
    for side in SIDES:
        base = habitus.dome + descent + (0.010 if side > 0 else -0.012) + 0.006 * normal()
        base -= max(0.0, side * raised)
        if collapse and side in collapse.sides:
            base -= 0.02 + 0.045 * collapse.severity
        lungs[side] = _lung(canvas, side, centre, habitus.lung_width, apex, base)
    return Chest(
        canvas=canvas,
        study=study,
        bedside=bedside,
        centre=centre,
        width=habitus.lung_width,
        apex=apex,
        descent=descent,
        lungs=lungs,
        carina=(centre + 0.004, 0.345 + 0.6 * descent),
        hila={side: (centre + side * 0.085, 0.435 + descent - 0.012 * side) for side in SIDES},
    )


def _lung(canvas: Canvas, side: int, centre: float, width: float, apex: float, base: float) -> Lung:
    t = (canvas.y - apex) / (base - apex)
    rise = 1 - np.clip(t / 0.62, 0, 1)
    lateral = width * (0.20 + 0.80 * np.sqrt(1 - rise * rise) + 0.05 * np.maximum(t - 0.62, 0))
    medial = 0.050 + 0.035 * np.exp(-np.maximum(t, 0) / 0.12) + 0.012 * np.maximum(t, 0)
    half = np.maximum((lateral - medial) / 2, 1e-3)
    middle = centre + side * (lateral + medial) / 2
    u = np.square((canvas.x - middle) / half)
    # The dome's top lies medially; its lateral edge falls to a sharp costophrenic angle.
    across = (canvas.x - (centre + side * (0.06 + 0.40 * width))) / (0.5 * width)
    dome = as_plane(base + 0.095 * across * across)
    air: Plane = cap(1 - u * u) * np.sqrt(np.clip(4 * t, 0, 1))
    air *= sigmoid((dome - canvas.y) * (0.30 * canvas.pixels))
    return Lung(side, middle, half, dome, base, air)


def tissue(chest: Chest) -> Plane:
    """Optical thickness of everything but lung vessels, bones, findings and tubes."""
    canvas, habitus = chest.canvas, chest.study.patient.habitus
    x, y = canvas.x, canvas.y
    dx = x - chest.centre
    fat = habitus.fat
    shoulder = np.clip((y - chest.apex + 0.15) / 0.20, 0, 1)
    half = 0.125 + (chest.width - 0.03 + 0.03 * fat) * shoulder * shoulder * (3 - 2 * shoulder)
    across = np.square(dx / half)
    plane = (1.15 + 0.5 * fat) * cap(1 - across * across) * (0.85 + 0.12 * y)
    lower = min(chest.lungs[-1].base, chest.lungs[1].base)
    plane += 0.55 * sigmoid((y - lower - 0.05) * 18) * sigmoid((half - 0.03 - np.abs(dx)) * 40)
    if habitus.breasts:
        for side in SIDES:
            u = (dx - side * chest.width * 0.55) / 0.17
            v = (y - 0.66 - chest.descent) / 0.15
            plane += (0.24 * fat) * np.maximum(1 - u * u - v * v, 0)
    plane -= (1.0 * habitus.air) * chest.air
    plane += _mediastinum(chest, dx)
    return plane


def _mediastinum(chest: Chest, dx: Plane) -> Plane:
    canvas, habitus = chest.canvas, chest.study.patient.habitus
    y = canvas.y
    rng = stream(*chest.study.key, "heart")
    factor = rng.uniform(0.86, 1.12)
    if enlarged := chest.study.findings.get("cardiomegaly"):
        factor = rng.uniform(1.10, 1.20) + 0.30 * enlarged.severity
    radius = habitus.heart * factor * (1.06 if chest.bedside else 1.0)
    growth = radius - 0.152

    def ellipse(x: float, y_centre: float, width: float, height: float) -> Plane:
        u, v = (dx - x) / width, (y - y_centre) / height
        return cap(1 - u * u - v * v)

    plane = 0.40 * np.exp(-np.square(dx / 0.062)) * sigmoid((y - 0.06) * 20)
    # Heart: an ellipse whose long axis points down and to the patient's left.
    hx, hy = dx - 0.066 - 0.35 * growth, y - (0.625 + chest.descent - 0.2 * growth)
    u = (0.88 * hx + 0.47 * hy) / (1.12 * radius)
    v = (0.88 * hy - 0.47 * hx) / (0.86 * radius)
    lower = chest.lungs[1].base + 0.05
    plane += 0.72 * cap(as_plane(1 - u * u - v * v)) * sigmoid((lower - y) * 30)
    plane += 0.20 * ellipse(-0.040 - 0.3 * growth, 0.60 + chest.descent, 0.066, 0.13)
    plane += 0.45 * ellipse(0.055, 0.315 + chest.descent / 2, 0.045, 0.050)
    plane += 0.30 * ellipse(0.060, 0.430 + chest.descent, 0.045, 0.075)
    plane += 0.22 * ellipse(-0.048, 0.300 + chest.descent / 2, 0.035, 0.14)
    plane += 0.15 * np.exp(-np.square((dx - 0.045) / 0.02)) * sigmoid((y - 0.36) * 30)

    bend = habitus.scoliosis * np.sin(6 * y)
    spine = np.exp(-np.square(np.square((dx - bend) / 0.045)))
    plane += (0.20 * habitus.bone) * spine * (1 + 0.35 * np.cos(2 * np.pi * 15 * y))

    strokes = canvas.strokes()
    cx, cy = chest.carina
    strokes.lines([np.array([(cx - 0.004, -0.05), (cx, 0.2), chest.carina])], 0.036)
    strokes.lines([np.array([chest.carina, (cx - 0.055, cy + 0.05), (cx - 0.1, cy + 0.1)])], 0.024)
    strokes.lines([np.array([chest.carina, (cx + 0.06, cy + 0.06), (cx + 0.11, cy + 0.1)])], 0.022)
    plane -= 0.42 * canvas.blur(strokes.plane(), 0.006)
    if rng.random() < 0.6:
        plane -= 0.30 * ellipse(0.17, chest.lungs[1].base + 0.075, 0.10, 0.045)  # gastric gas
    return as_plane(plane)


def bones(chest: Chest) -> Plane:
    """Optical thickness of ribs, clavicles and scapulae."""
    habitus = chest.study.patient.habitus
    rng = stream(*chest.study.key[:-1], "bones")
    strokes = chest.canvas.strokes()
    t = np.linspace(0, 1, 16)
    posterior, anterior, others = [], [], []
    for side in SIDES:
        for rib in range(habitus.ribs):
            y = chest.apex - 0.035 + rib * 0.66 / habitus.ribs
            reach = chest.width * (0.50 + 0.56 * np.sin(min(1.0, (rib + 1.2) / 5) * 1.57))
            drop = habitus.rib_slope * min(1.0, 0.55 + 0.12 * rib)
            back = y + drop * t**1.6 - 0.025 * np.sin(np.pi * np.sqrt(t))
            posterior.append(_curve(chest.centre + side * (0.035 + reach * np.sin(1.57 * t)), back))
            if rib < 7:
                front = y + drop + (0.05 + 0.014 * rib) * t + 0.03 * np.sin(np.pi * t)
                bend = 0.035 + reach * (1 - 0.72 * t**1.7)
                anterior.append(_curve(chest.centre + side * bend, front))
        tilt = 0.01 * rng.standard_normal()
        rise = chest.apex + 0.075 + tilt - 0.065 * t + 0.02 * np.sin(4.7 * t)
        others.append(_curve(chest.centre + side * (0.045 + 0.95 * chest.width * t), rise))
        edge = (0.93 if chest.bedside else 1.07) + 0.04 * rng.random()
        blade = chest.centre + side * chest.width * np.array([1.08, edge, edge + 0.22])
        others.append(_curve(blade, np.array([0.17, 0.43, 0.30]) + chest.descent / 2))
    strokes.lines(anterior, 0.024, 0.30)
    strokes.lines(anterior, 0.015, 0.22)
    strokes.lines(posterior, 0.023, 0.62)
    strokes.lines(posterior, 0.013, 0.36)
    strokes.lines(others, 0.030, 0.70)
    strokes.lines(others, 0.018, 0.50)
    return (0.44 * habitus.bone) * chest.canvas.blur(strokes.plane(), 0.0035)


def _curve(x: Points, y: Points) -> Points:
    return np.stack([x, y], axis=1)


def vessels(chest: Chest) -> Plane:
    """Branching vessels of both lungs, in [0, 1]; the tree belongs to the patient."""
    rng = stream(*chest.study.key[:-1], "vessels")
    strokes = chest.canvas.strokes()
    trunks: list[list[Points]] = [[], [], []]
    twigs: list[list[Points]] = [[], [], []]
    for side in SIDES:
        count = 14
        angle = np.linspace(-1.4, 1.4, count) + rng.uniform(-0.12, 0.12, count)
        at = np.tile(np.array(chest.hila[side]), (count, 1))
        length = rng.uniform(0.6, 1.0, count) * 0.24 * chest.width
        for level in range(3):
            angle += rng.uniform(-0.3, 0.3, count)
            direction = np.stack([side * np.cos(angle), 1.15 * np.sin(angle)], axis=1)
            end = at + direction * length[:, None]
            trunks[level].extend(np.stack([at, end], axis=1))
            for fork in (-0.7, 0.7):
                turned = angle + fork * rng.uniform(0.6, 1.2, count)
                twig = np.stack([side * np.cos(turned), np.sin(turned)], axis=1)
                twigs[level].extend(np.stack([end, end + 0.8 * twig * length[:, None]], axis=1))
            at = end
    for level in (2, 1, 0):
        width = 0.0105 * 0.70**level
        strokes.lines(twigs[level], 0.6 * width, 0.42 - 0.09 * level)
        strokes.lines(trunks[level], width, 0.55 - 0.10 * level)
    for side in SIDES:
        strokes.disc(chest.hila[side], 0.022, 0.55)
    return chest.canvas.blur(strokes.plane(), 0.003)
