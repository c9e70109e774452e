"""The lateral film: a plainer chest seen from the left, spine at the image's right."""

import numpy as np

from radscale_lib.phantom.canvas import Canvas, Plane, cap, sigmoid
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.population import Study


def lateral_thickness(canvas: Canvas, study: Study, image: int) -> Plane:
    """Optical thickness of a left lateral chest, [height, width]."""
    habitus = study.patient.habitus
    rng = stream(*study.key, image, "lateral")
    normal = rng.standard_normal
    x, y = canvas.x, canvas.y
    dx = x - (0.5 + 0.015 * normal())
    depth = 0.30 * (0.85 + 0.15 * habitus.fat)
    half = depth * np.sqrt(np.clip((y - 0.02) / 0.25, 0.12, 1))
    body = np.square(dx / half)
    plane = 2.2 * habitus.fat * cap(1 - body * body)

    dome = habitus.dome + 0.02 * normal() + 0.22 * np.square(np.maximum(dx + 0.05, 0) / 0.25)
    centre, width = 0.015 + 0.05 * (0.5 - y), 0.235
    v = np.maximum((0.46 - y) / (0.46 - habitus.apex), 0)
    u = (dx - centre) / (width * np.sqrt(np.maximum(1 - v**3, 1e-3)))
    air = cap(1 - np.square(u * u)) * sigmoid((dome - y) * (0.4 * canvas.pixels))
    plane -= 1.7 * habitus.air * air
    plane += 0.8 * sigmoid((y - dome - 0.04) * 20) * (body < 1)

    radius = habitus.heart * (1.25 if "cardiomegaly" in study.findings else 1.0)
    hx, hy = (dx + 0.075) / (0.85 * radius), (y - 0.60) / radius
    plane += 1.1 * cap(1 - hx * hx - hy * hy)
    spine = np.exp(-np.square((dx - 0.19 - 0.03 * np.sin(4 * y)) / 0.035))
    plane += 0.8 * habitus.bone * spine * (1 + 0.3 * np.cos(2 * np.pi * 14 * y))

    strokes = canvas.strokes()
    t = np.linspace(0, 1, 12)
    ribs = [
        np.stack([0.5 + 0.19 - 0.38 * t, 0.14 + 0.065 * rib + 0.16 * t**1.3], axis=1)
        for rib in range(habitus.ribs)
    ]
    strokes.lines(ribs, 0.016, 0.35)
    strokes.lines([np.array([(0.30, 0.22), (0.27, 0.40), (0.28, 0.55)])], 0.02, 0.6)
    plane += 0.4 * habitus.bone * canvas.blur(strokes.plane(), 0.004)
    if effusion := study.findings.get("effusion"):
        level = dome - 0.02 - 0.18 * effusion.severity * (dx > 0)
        plane += 0.6 * sigmoid((y - level) * 30) * air
    return plane + 0.04 * canvas.texture(rng)
