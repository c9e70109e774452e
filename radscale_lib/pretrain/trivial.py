"""TrivialAugment (arXiv 2103.10158): one operation of random strength, on a grey image.

Operations and ranges are those of torchvision's `TrivialAugmentWide`, except the change of colour,
which a grey image lacks; they are computed as in Pillow. Pixels from outside the image are black.
Nothing is flipped.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.shards.codec import Grey

Operation = Callable[[Grey, float], Grey]
Real = NDArray[np.floating]

BINS = 31
"""Number of strengths of an operation, from none to its largest."""
_GREYS = np.arange(256.0)


def trivial_augment(rng: np.random.Generator, image: Grey) -> Grey:
    """Apply one operation with one of 31 strengths in either direction, all equally likely.

    Args:
        rng: source of randomness.
        image: [S, S], square.
    """
    name = list(OPERATIONS)[rng.integers(len(OPERATIONS))]
    strength = float(rng.integers(BINS)) / (BINS - 1)
    if name in SIGNED and rng.integers(2):
        strength = -strength
    return OPERATIONS[name](image, strength)


def _shear(image: Grey, by: float, axis: int) -> Grey:
    """Shear by up to 0.99 about the corner: columns shift with rows (axis 1), or vice versa."""
    matrix = np.eye(2)
    matrix[1 - axis, axis] = -0.99 * by
    return _affine(image, matrix, about=np.full(2, -0.5))


def _translate(image: Grey, by: float, axis: int) -> Grey:
    """Shift by up to a seventh of the side (32 pixels at 224)."""
    shift = np.zeros(2)
    shift[1 - axis] = round(32 / 224 * image.shape[axis] * by)
    return _affine(image, np.eye(2), shift)


def _rotate(image: Grey, by: float) -> Grey:
    """Rotate by up to 135 degrees."""
    angle = np.deg2rad(135 * by)
    cosine, sine = np.cos(angle), np.sin(angle)
    return _affine(image, np.array([[cosine, sine], [-sine, cosine]]))


def _affine(
    image: Grey, matrix: Real, shift: Real | None = None, about: Real | None = None
) -> Grey:
    """Map (x, y) by a matrix about a point (the centre by default), then shift; nearest pixel."""
    height, width = image.shape
    if about is None:
        about = (np.array([width, height]) - 1) / 2
    offset = about - matrix @ about + (0 if shift is None else shift)
    full = np.column_stack([matrix, offset])
    return np.asarray(cv2.warpAffine(image, full, (width, height), flags=cv2.INTER_NEAREST))


def _blend(other: Real, image: Real, factor: float) -> Grey:
    """Blend from another image (factor 0) to the image (1) and beyond."""
    return np.clip(other + factor * (image - other), 0, 255).astype(np.uint8)


def _brightness(image: Grey, by: float) -> Grey:
    table = _blend(np.zeros(256), _GREYS, 1 + 0.99 * by)
    return np.asarray(cv2.LUT(image, table))


def _contrast(image: Grey, by: float) -> Grey:
    middle = np.full(256, np.floor(image.mean() + 0.5))
    return np.asarray(cv2.LUT(image, _blend(middle, _GREYS, 1 + 0.99 * by)))


def _sharpness(image: Grey, by: float) -> Grey:
    """From a smoothed image, its border excepted, to a sharpened one."""
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    smooth = image.astype(np.float32)
    inner = cv2.filter2D(smooth, -1, kernel)[1:-1, 1:-1]
    smooth[1:-1, 1:-1] = np.floor(inner + 0.5)
    return _blend(smooth, image.astype(np.float32), 1 + 0.99 * by)


def _posterise(image: Grey, by: float) -> Grey:
    """Keep 8 to 2 of the leading bits."""
    bits = 8 - round(by * 6)
    return image & np.uint8(256 - 2 ** (8 - bits))


def _solarise(image: Grey, by: float) -> Grey:
    """Invert greys from a threshold on, which falls from 255 to 0."""
    table = np.where(255 * (1 - by) <= _GREYS, 255 - _GREYS, _GREYS).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table))


def _autocontrast(image: Grey, by: float) -> Grey:
    """Spread the greys from black to white."""
    low, high = int(image.min()), int(image.max())
    if low == high:
        return image
    scale = 255.0 / (high - low)
    table = np.clip(np.trunc(_GREYS * scale - low * scale), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table))


def _equalise(image: Grey, by: float) -> Grey:
    """Make all greys about equally frequent."""
    counts = np.bincount(image.ravel(), minlength=256)
    used = counts[counts > 0]
    step = int(used.sum() - used[-1]) // 255
    if len(used) < 2 or not step:
        return image
    below = np.concatenate([[0], np.cumsum(counts)[:-1]])
    table = np.clip((step // 2 + below) // step, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table))


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, by: image,
    "shear_x": lambda image, by: _shear(image, by, 1),
    "shear_y": lambda image, by: _shear(image, by, 0),
    "translate_x": lambda image, by: _translate(image, by, 1),
    "translate_y": lambda image, by: _translate(image, by, 0),
    "rotate": _rotate,
    "brightness": _brightness,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterise": _posterise,
    "solarise": _solarise,
    "autocontrast": _autocontrast,
    "equalise": _equalise,
}
SIGNED = frozenset(OPERATIONS) - {
    *("identity", "posterise", "solarise", "autocontrast", "equalise"),
}
"""Operations with a sign."""
