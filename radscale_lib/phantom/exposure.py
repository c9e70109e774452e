"""Turn optical thickness into the grey of a film, and add markers."""

import cv2
import numpy as np

from radscale_lib.phantom.canvas import Canvas, Plane, as_plane
from radscale_lib.phantom.sites import Site

DETAIL = 0.03
"""Detail, for enhancement, is what a blur with this standard deviation removes; as a share of the
film's shorter side."""


def expose(
    thickness: Plane, canvas: Canvas, site: Site, bedside: bool, rng: np.random.Generator
) -> Plane:
    """Grey of a film, float32 in [0, 1], bright where radiation is absorbed.

    Primary radiation by Beer-Lambert's law; scatter as a blurred share of it; noise of variance
    proportional to the signal over the number of quanta; then the logarithm, a window between two
    of its percentiles, enhanced detail and an exponent, as a workstation displays it.
    """
    signal = np.exp(-np.clip(thickness, -1.5, 6))
    small = cv2.resize(signal, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    scattered = cv2.GaussianBlur(small, (0, 0), 0.02 * canvas.pixels)
    share = site.scatter[bedside] * rng.uniform(0.8, 1.2)
    signal += share * cv2.resize(scattered, (canvas.width, canvas.height))
    quanta = site.quanta * (rng.uniform(250, 1200) if bedside else rng.uniform(500, 2500))
    grain = rng.standard_normal(thickness.shape, dtype=np.float32)
    signal += 0.35 * np.sqrt(np.maximum(signal, 1e-4) / quanta) * grain
    density = -np.log(np.maximum(signal, 2e-3))
    bounds = (rng.uniform(0.2, 2), rng.uniform(97.5, 99.8))
    low, high = np.percentile(density[::2, ::2], bounds)
    smooth = cv2.GaussianBlur(density, (0, 0), DETAIL * canvas.pixels)
    density += np.float32(rng.uniform(*site.detail)) * (density - smooth)
    grey = np.clip((density - low) / (high - low + 1e-6), 0, 1)
    return as_plane(np.power(grey, np.float32(rng.uniform(*site.gamma))))


def lay_markers(grey: Plane, canvas: Canvas, rng: np.random.Generator) -> Plane:
    """Add a side marker, and sometimes a word, to the film.

    Markers depend only on the generator, so none reveals a label, a view or a site. Letters are
    about 4 % as high as the film's shorter side, whatever its number of pixels.
    """
    enlarge = max(1, round(384 / canvas.pixels))
    scale = canvas.pixels * enlarge
    layer = np.zeros((canvas.height * enlarge, canvas.width * enlarge), np.uint8)
    right = canvas.width / canvas.pixels
    side, word, height, brightness = (
        rng.random(),
        rng.random(),
        rng.uniform(0.05, 0.13),
        rng.random(),
    )
    texts = []
    if side < 0.85:
        texts.append(("L", right - 0.075, height) if side < 0.6 else ("R", 0.035, height))
    if word < 0.25:
        name = ("PORT", "ERECT", "SUPINE")[int(rng.integers(3))]
        texts.append((name, rng.uniform(0.10, 0.70), rng.uniform(0.045, 0.06)))
    for text, x, y in texts:
        cv2.putText(
            layer,
            text,
            (round(x * scale), round(y * scale)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.040 * scale / 21,
            255,
            max(1, round(0.007 * scale)),
            cv2.LINE_AA,
        )
    size = (canvas.width, canvas.height)
    cover = as_plane(cv2.resize(layer, size, interpolation=cv2.INTER_AREA)) / 255
    return as_plane(grey + (0.75 + 0.25 * brightness) * cover * (1 - grey))
