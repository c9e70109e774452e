"""Resizing: the cubic B-spline as two banded matrices, or a library's resize by name.

Unser, Aldroubi and Eden, "B-spline signal processing", IEEE Trans. Signal Processing 41 (1993):
interpolation is a recursive prefilter followed by four B-spline weights. The prefilter's impulse
response decays by z = √3 − 2 per sample, so both together are a short band, and one sparse product
per axis resizes an image. It works strip by strip, so that its data stays in the processor's cache.
"""

import functools
from typing import Literal, TypeVar

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import sparse

from radscale_lib.study.archive import Interpolation

Alignment = Literal["centred", "origin"]

Values = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
T = TypeVar("T", float, NDArray[np.float64])

_OPENCV = {
    "opencv-linear": cv2.INTER_LINEAR,
    "opencv-cubic": cv2.INTER_CUBIC,
    "opencv-area": cv2.INTER_AREA,
    "opencv-lanczos": cv2.INTER_LANCZOS4,
}
_PILLOW = {
    "pillow-box": PIL.Image.Resampling.BOX,
    "pillow-bilinear": PIL.Image.Resampling.BILINEAR,
    "pillow-bicubic": PIL.Image.Resampling.BICUBIC,
    "pillow-lanczos": PIL.Image.Resampling.LANCZOS,
}
_POLE = np.sqrt(3) - 2
_REACH = 11
"""Samples of the prefilter's response kept on each side: |z|^12 is below 2e-7."""
_STRIP = 64
"""Rows of the target computed at once."""


def stored_size(height: int, width: int, side: int, aspect: float = 1.0) -> tuple[int, int]:
    """Height and width with square pixels and `side` pixels on the shorter side.

    Args:
        height: rows of the source.
        width: columns of the source.
        side: the shorter side wanted, pixels.
        aspect: height over width of a source pixel.
    """
    tall = height * aspect
    scale = side / min(tall, width)
    return max(side, round(tall * scale)), max(side, round(width * scale))


def resize(
    image: Values,
    height: int,
    width: int,
    alignment: Alignment,
    interpolation: Interpolation = "bspline",
) -> NDArray[np.float32]:
    """Resample an image [H, W] to [height, width].

    The cubic B-spline is mirrored at the edges. The other methods are their library's, always
    centred; their pixels differ from the B-spline's (`docs/hospital/ingest.md`).

    Args:
        image: the source, uint8, uint16 or float32.
        height: rows wanted.
        width: columns wanted.
        alignment: where sample i of the B-spline lies in the source: at (i + ½)·n/N − ½ if
            `centred` (pixel areas coincide), at i·n/N if `origin` (first pixel centres coincide, as
            SimpleITK does with an unchanged origin).
        interpolation: the method.
    """
    if interpolation in _OPENCV:
        flag = _OPENCV[interpolation]
        values = image.astype(np.float32, copy=False)
        return cv2.resize(values, (width, height), interpolation=flag).astype(
            np.float32, copy=False
        )
    if interpolation in _PILLOW:
        source = PIL.Image.fromarray(image.astype(np.float32, copy=False))
        return np.asarray(source.resize((width, height), _PILLOW[interpolation]), np.float32)
    resized = np.empty((height, width), np.float32)
    across = spline_matrix(image.shape[1], width, alignment)
    for rows, needed, down in _strips(image.shape[0], height, alignment):
        strip = down @ image[needed].astype(np.float32, copy=False)
        resized[rows] = (across @ cv2.transpose(strip)).T
    return resized


def position(index: T, source: int, target: int, alignment: Alignment) -> T:
    """Convert a position in a grid of `source` pixels to one of `target` (centres at integers)."""
    if alignment == "centred":
        return (index + 0.5) * target / source - 0.5
    return index * target / source


@functools.lru_cache(64)
def _strips(
    source: int, target: int, alignment: Alignment
) -> list[tuple[slice, slice, sparse.csr_array]]:
    """`spline_matrix` in strips: rows of the target, rows of the source, and the matrix between."""
    matrix = spline_matrix(source, target, alignment)
    strips = []
    for first in range(0, target, _STRIP):
        rows = slice(first, min(first + _STRIP, target))
        part = matrix[rows]
        needed = slice(int(part.indices.min()), int(part.indices.max()) + 1)
        strips.append((rows, needed, part[:, needed].tocsr()))
    return strips


@functools.lru_cache(64)
def spline_matrix(source: int, target: int, alignment: Alignment) -> sparse.csr_array:
    """The matrix [target, source] that samples the cubic B-spline through `source` values."""
    grid = np.arange(target, dtype=np.float64)
    x = position(grid, target, source, alignment)
    start = np.floor(x).astype(np.int64)
    f = x - start
    weights = (
        np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], 1)
        / 6
    )
    taps = np.arange(-_REACH, _REACH + 1)
    prefilter = _POLE ** np.abs(taps)
    prefilter /= prefilter.sum()  # make up for the truncated tails, so that constants stay constant
    band = np.zeros((target, len(taps) + 3))
    for i in range(4):
        band[:, i : i + len(taps)] += weights[:, i : i + 1] * prefilter
    columns = start[:, None] - 1 - _REACH + np.arange(band.shape[1])
    rows = np.repeat(np.arange(target), band.shape[1])
    places = rows, _mirror(columns, source).ravel()
    matrix = sparse.coo_array((band.ravel(), places), shape=(target, source)).tocsr()
    matrix.sum_duplicates()
    return matrix.astype(np.float32)


def _mirror(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Reflect indices at the first and last sample."""
    period = max(2 * (size - 1), 1)
    folded = np.abs(index) % period
    return np.where(folded > size - 1, period - folded, folded)
