"""The lateral film: a plainer chest seen from its left, sternum at the image's left."""

import numpy as np

from radscale_lib.phantom.canvas import Canvas, Plane, as_plane, cap, sigmoid
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.population import Study


def lateral_thickness(canvas: Canvas, study: Study, image: int) -> Plane:
    """Optical thickness of a left lateral chest, [height, width]."""
    habitus = study.patient.habitus
    rng = stream(*study.key, image, "lateral")
    normal = rng.standard_normal
    y = canvas.y
    dx = canvas.x - (0.5 + 0.015 * normal())

    half = (0.30 + 0.05 * habitus.fat) * (0.80 + 0.20 * np.clip(y / 0.35, 0, 1))
    body = np.square((dx - 0.01) / half)
    plane = (1.2 + 0.7 * habitus.fat) * cap(as_plane(1 - body * body))
    # Shoulders and raised arms cover the apices.
    plane += 0.8 * sigmoid((0.13 - y + 0.5 * np.abs(dx)) * 25) * sigmoid((half - np.abs(dx)) * 40)

    t = (y - habitus.apex) / (habitus.dome - habitus.apex)
    front = -0.07 - 0.17 * np.sin(np.clip(1.6 * t, 0, 1.5))
    back = 0.13 + 0.11 * np.sin(np.clip(2.2 * t, 0, 1.9))
    u = np.square((dx - (front + back) / 2) / ((back - front) / 2))
    dome = habitus.dome - 0.02 + 0.015 * normal() + 1.9 * np.square(np.maximum(dx + 0.09, 0))
    air = cap(as_plane(1 - u * u)) * np.sqrt(np.clip(3 * t, 0, 1))
    air *= sigmoid((dome - y) * (0.3 * canvas.pixels))
    plane -= 1.35 * habitus.air * air
    plane += 0.6 * sigmoid((y - dome - 0.05) * 15) * sigmoid((half - np.abs(dx)) * 40)

    radius = habitus.heart * (1.25 if "cardiomegaly" in study.findings else 1.0)
    hx, hy = dx + 0.10, y - 0.595
    p, q = (0.85 * hx + 0.53 * hy) / (0.95 * radius), (0.85 * hy - 0.53 * hx) / (1.15 * radius)
    heart = np.maximum(as_plane(1 - p * p - q * q), 0)
    plane += 0.75 * np.sqrt(heart) * np.minimum(2 * air, 1)
    spine = np.exp(-np.square(np.square((dx - back + 0.02) / 0.045)))
    plane += 0.5 * habitus.bone * spine * (1 + 0.35 * np.cos(2 * np.pi * 14 * y))
    if effusion := study.findings.get("effusion"):
        behind = sigmoid((dx - 0.06) * 30)
        level = dome - (0.03 + 0.22 * effusion.severity) * behind
        plane += 0.8 * sigmoid((y - level) * 30) * np.minimum(1.15 * air, 1)

    strokes = canvas.strokes()
    s = np.linspace(0, 1, 12)
    ribs = [
        np.stack([0.5 + 0.22 - 0.44 * s, 0.10 + 0.07 * rib + 0.22 * s**1.2], axis=1)
        for rib in range(habitus.ribs - 2)
    ]
    strokes.lines(ribs, 0.018, 0.35)
    strokes.lines([np.array([(0.40, 0.17), (0.30, 0.32), (0.255, 0.55)])], 0.024, 0.7)
    plane += 0.4 * habitus.bone * canvas.blur(strokes.plane(), 0.004)
    airway = canvas.strokes()
    airway.lines([np.array([(0.53, -0.02), (0.525, 0.25), (0.545, 0.38)])], 0.032)
    plane -= 0.35 * canvas.blur(airway.plane(), 0.006)
    return as_plane(plane + 0.04 * canvas.texture(rng) * np.minimum(2 * air, 1))
