"""Random views of a grey image: crop and resize, one grey-level table, blur, erasing.

All work on uint8 images of one channel, at a small share of a training step's cost. Crops are
resized as evaluation resizes films (`encoders.prepare`); everything else is OpenCV's. There are no
flips, which would break laterality, and no inversion.
"""

import math

import cv2
import numpy as np

from radscale_lib.encoders.prepare import resized
from radscale_lib.shards.codec import Grey

Range = tuple[float, float]

cv2.setNumThreads(1)

ASPECT: Range = (3 / 4, 4 / 3)
BLUR_SIGMA: Range = (0.1 / 224, 2 / 224)
"""Blur as a share of the side: DINO's 0.1 to 2 pixels at 224."""
ERASED_AREA: Range = (0.02, 0.33)
ERASED_ASPECT: Range = (0.3, 3.3)
_GREYS = np.arange(256, dtype=np.float32)


def random_crop(rng: np.random.Generator, image: Grey, size: int, area: Range) -> Grey:
    """A random rectangle of the image, resized to a square of `size` pixels.

    Args:
        rng: source of randomness.
        image: [H, W].
        size: side of the result.
        area: smallest and largest area, as a share of the image; aspect ratios 3/4 to 4/3.
    """
    top, left, height, width = _rectangle(rng, image, area, ASPECT)
    return resized(image[top : top + height, left : left + width], (size, size)).copy()


def random_intensity(rng: np.random.Generator, image: Grey, change: float, middle: float) -> Grey:
    """Change brightness and contrast by factors from 1 - change to 1 + change.

    Contrast is changed about a fixed grey (`middle`, in [0, 1]), so that one table does both.
    """
    brightness, contrast = rng.uniform(1 - change, 1 + change, 2)
    pivot = middle * 255
    table = (np.clip(_GREYS * brightness, 0, 255) - pivot) * contrast + pivot
    levels = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, levels), np.uint8)


def random_blur(rng: np.random.Generator, image: Grey) -> Grey:
    """Gaussian blur of random width, relative to the image's side."""
    sigma = rng.uniform(*BLUR_SIGMA) * image.shape[0]
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def solarise(image: Grey) -> Grey:
    """Invert greys of 128 and above (BYOL, arXiv 2006.07733)."""
    return np.where(image < 128, image, 255 - image)


def random_erase(rng: np.random.Generator, image: Grey, fill: float) -> Grey:
    """Replace a random rectangle by one grey (`fill`, in [0, 1]); arXiv 1708.04896."""
    top, left, height, width = _rectangle(rng, image, ERASED_AREA, ERASED_ASPECT)
    image[top : top + height, left : left + width] = round(fill * 255)
    return image


def _rectangle(
    rng: np.random.Generator, image: Grey, area: Range, aspect: Range
) -> tuple[int, int, int, int]:
    """A random rectangle inside the image: (top, left, height, width).

    The aspect ratio (width / height) is log-uniform. A rectangle that does not fit is drawn again,
    at most ten times; after that, the largest centred rectangle of an allowed aspect is taken.
    """
    rows, columns = image.shape
    for _ in range(10):
        pixels = rows * columns * rng.uniform(*area)
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        width, height = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < width <= columns and 0 < height <= rows:
            top = int(rng.integers(rows - height + 1))
            left = int(rng.integers(columns - width + 1))
            return top, left, height, width
    ratio = min(max(columns / rows, aspect[0]), aspect[1])
    width, height = min(columns, round(rows * ratio)), min(rows, round(columns / ratio))
    return (rows - height) // 2, (columns - width) // 2, height, width
