"""Findings of a frontal film, as optical thickness added to the lungs."""

from dataclasses import dataclass

import numpy as np

from radscale_lib.phantom.canvas import Plane, as_plane, cap, sigmoid
from radscale_lib.phantom.chest import SIDES, Chest
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.population import Finding


@dataclass
class Lungs:
    """The planes that findings change: vessels in [0, 1], and added thickness, [height, width]."""

    vessels: Plane
    haze: Plane


def add_findings(chest: Chest, vessels: Plane) -> Plane:
    """Optical thickness of vessels and findings inside the lungs."""
    zero = np.zeros((chest.canvas.height, chest.canvas.width), np.float32)
    lungs = Lungs(vessels, zero)
    inside = np.minimum(1.6 * chest.air, 1)
    findings = chest.study.findings
    if found := findings.get("edema"):
        _edema(chest, found, lungs)
    if found := findings.get("consolidation"):
        _consolidation(chest, found, lungs)
    if found := findings.get("atelectasis"):
        _atelectasis(chest, found, lungs)
    lungs.haze *= inside
    if found := findings.get("nodule"):
        _nodule(chest, found, lungs)
    if found := findings.get("effusion"):
        _effusion(chest, found, lungs)
    if found := findings.get("pneumothorax"):
        _pneumothorax(chest, found, lungs)
    strength = 0.34 * chest.study.patient.habitus.vessels
    return as_plane(strength * lungs.vessels * inside + lungs.haze)


def _edema(chest: Chest, finding: Finding, lungs: Lungs) -> None:
    rng = stream(*chest.study.key, "edema")
    canvas = chest.canvas
    mottled = 1 + 0.4 * canvas.texture(rng)
    spread = rng.uniform(0.12, 0.17)
    for side in SIDES:
        x, y = chest.hila[side]
        u = (canvas.x - x - side * 0.06) / spread
        v = (canvas.y - y - 0.05) / (1.35 * spread)
        lungs.haze += (0.12 + 0.30 * finding.severity) * np.exp(-u * u - v * v) * mottled
    lungs.vessels = lungs.vessels * (1.2 + 0.6 * finding.severity)
    # Septal (Kerley B) lines: short, horizontal, at the lateral bases.
    strokes = canvas.strokes()
    lines = []
    for side in SIDES:
        for _ in range(6):
            y = rng.uniform(0.56, 0.70) + chest.descent
            middle, half = chest.lungs[side].middle(y, canvas)
            start = middle + side * half * 0.95
            lines.append(np.array([(start, y), (start - side * 0.045, y + 0.004)]))
    strokes.lines(lines, 0.006, 1.0)
    lungs.haze += 0.30 * strokes.plane()


def _consolidation(chest: Chest, finding: Finding, lungs: Lungs) -> None:
    rng = stream(*chest.study.key, "consolidation")
    canvas = chest.canvas
    for side in finding.sides:
        y = 0.27 + 0.40 * finding.zone + chest.descent
        middle, half = chest.lungs[side].middle(y, canvas)
        u = (canvas.x - middle - half * rng.uniform(-0.4, 0.4)) / rng.uniform(0.07, 0.13)
        v = (canvas.y - y) / rng.uniform(0.065, 0.12)
        radius = u * u + v * v + 0.35 * canvas.texture(rng)
        patch = sigmoid((1.0 - radius) * 4) * np.clip(1 + 0.35 * canvas.texture(rng), 0.2, 2)
        lungs.haze += (0.36 + 0.45 * finding.severity) * patch


def _atelectasis(chest: Chest, finding: Finding, lungs: Lungs) -> None:
    rng = stream(*chest.study.key, "atelectasis")
    canvas = chest.canvas
    for side in finding.sides:
        lung = chest.lungs[side]
        y = lung.base - rng.uniform(0.02, 0.06)
        for plate in range(int(rng.integers(2, 4))):
            middle, half = lung.middle(y, canvas)
            u = (canvas.x - middle - half * rng.uniform(-0.35, 0.35)) / (
                half * rng.uniform(0.45, 0.8)
            )
            level = y + rng.uniform(-0.025, 0.025) * u + rng.uniform(-0.012, 0.012) * u * u
            v = (canvas.y - level) / rng.uniform(0.011, 0.016)
            strength = (0.42 + 0.45 * finding.severity) * (0.75 if plate else 1.0)
            lungs.haze += strength * np.exp(-v * v) * np.exp(-u * u * u * u)
            y -= rng.uniform(0.05, 0.08)
        # Volume loss: the base is denser as well as higher.
        crowded = sigmoid((canvas.y - lung.base + 0.05) * 35) * (
            side * (canvas.x - chest.centre) > 0
        )
        lungs.haze += (0.12 + 0.22 * finding.severity) * crowded


def _nodule(chest: Chest, finding: Finding, lungs: Lungs) -> None:
    rng = stream(*chest.study.key, "nodule")
    canvas = chest.canvas
    for number, side in enumerate(finding.sides):
        y = 0.23 + 0.40 * ((finding.zone + 0.4 * number) % 1) + chest.descent
        middle, half = chest.lungs[side].middle(y, canvas)
        radius = nodule_radius(finding) * rng.uniform(0.9, 1.1)
        u = (canvas.x - middle - half * rng.uniform(-0.5, 0.5)) / radius
        v = (canvas.y - y) / (radius * rng.uniform(0.85, 1.15))
        ball = np.minimum(1.2 * cap(1 - u * u - v * v), 1)
        lungs.haze += (0.68 + 0.30 * finding.severity) * ball


def nodule_radius(finding: Finding) -> float:
    """Radius of a nodule, as a share of the 40 cm field."""
    return 0.030 + 0.026 * finding.severity


def _effusion(chest: Chest, finding: Finding, lungs: Lungs) -> None:
    rng = stream(*chest.study.key, "effusion")
    canvas = chest.canvas
    for side in finding.sides:
        lung = chest.lungs[side]
        level = lung.base + 0.01 - (0.005 + 0.26 * finding.severity * rng.uniform(0.75, 1))
        # The meniscus climbs along the lateral chest wall.
        lateral = side * (canvas.x - lung.centre) / lung.half
        surface = level + 0.05 - 0.12 * np.square(np.maximum(lateral + 0.2, 0) / 1.2)
        fluid = sigmoid((canvas.y - surface) * 32) * np.minimum(1.15 * lung.air, 1)
        lungs.haze += (0.75 + 0.25 * finding.severity) * fluid
        lungs.vessels = lungs.vessels * (1 - 0.8 * fluid)


def _pneumothorax(chest: Chest, finding: Finding, lungs: Lungs) -> None:
    rng = stream(*chest.study.key, "pneumothorax")
    canvas = chest.canvas
    side = finding.sides[0]
    lung = chest.lungs[side]
    gap = 0.030 + 0.08 * finding.severity * rng.uniform(0.8, 1)
    bottom = lung.base - rng.uniform(0.0, 0.12) - 0.10 * (1 - finding.severity)
    top = chest.apex + 1.1 * gap
    t = np.linspace(0, 1, 20)
    rise = 1 - np.clip(t / 0.55, 0, 1)
    ys = top + t * (bottom - top)
    wall = chest.width * (0.20 + 0.80 * np.sqrt(1 - rise * rise))
    fall = np.clip((t - 0.7) / 0.3, 0, 1)
    xs = chest.centre + side * np.maximum(wall - gap * (1 - fall * fall), 0.07)
    line = np.interp(canvas.y[:, 0], ys, xs).astype(np.float32)[:, None]
    outside = sigmoid(side * (canvas.x - line) * (0.5 * canvas.pixels))
    outside = np.where(canvas.y < top, 1, outside)
    outside = outside * sigmoid((bottom - canvas.y) * 60) * np.minimum(2.2 * lung.air, 1)
    lungs.vessels = lungs.vessels * (1 - outside)
    lungs.haze = lungs.haze * (1 - 0.85 * outside) - 0.22 * outside
    # The collapsed lung is denser, and its visceral pleura is seen edge-on.
    lungs.haze += 0.10 * np.minimum(1.6 * lung.air, 1) * (1 - outside)
    strokes = canvas.strokes()
    pleura = np.stack([xs, ys], axis=1)
    cupola = np.array([(chest.centre + side * 0.075, top + 0.01)])
    strokes.lines([np.vstack([cupola, pleura])], 0.010, 1.0)
    lungs.haze += 0.28 * strokes.plane() * np.minimum(1.6 * lung.air, 1)
