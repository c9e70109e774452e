"""The film plane: a pixel grid in anatomical units, anti-aliased strokes, and smooth noise.

One unit is the shorter side of the film. Pixel positions count pixel centres: (0, 0) is the centre
of the upper left pixel, as in annotation tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Canvas:
    """A film of `height` × `width` pixels; `pixels` are one unit long."""

    height: int
    width: int
    pixels: int

    @property
    def left(self) -> float:
        """The x of the left edge; the film is centred on x = 0.5."""
        return 0.5 - self.width / (2 * self.pixels)

    @property
    def bottom(self) -> float:
        """The y of the lower edge; the upper edge is y = 0."""
        return self.height / self.pixels

    @cached_property
    def x(self) -> Plane:
        """The x of pixel centres, [1, width]."""
        return _centres(self.width, self.pixels)[None, :] + np.float32(self.left)

    @cached_property
    def y(self) -> Plane:
        """The y of pixel centres, [height, 1]."""
        return _centres(self.height, self.pixels)[:, None]

    def to_pixels(self, points: Points) -> Points:
        """Points [n, 2] in units as pixel positions (centres at integers)."""
        return (points - (self.left, 0.0)) * self.pixels - 0.5

    def warp(self, plane: Plane, pose: "Pose") -> Plane:
        """A plane as seen under a pose; beyond its edges, edge values continue."""
        matrix = pose.matrix(self.left)
        scale = self.pixels
        # The pose refers to the film's corner, OpenCV to the first pixel's centre.
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] * scale])
        matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
        size = (self.width, self.height)
        return as_plane(cv2.warpAffine(plane, matrix, size, borderMode=cv2.BORDER_REPLICATE))

    def move(self, points: Points, pose: "Pose") -> Points:
        """Points [n, 2] in units as seen under a pose."""
        matrix = pose.matrix(self.left)
        corner = np.array([self.left, 0.0])
        moved: Points = (points - corner) @ matrix[:, :2].T + matrix[:, 2] + corner
        return moved

    def blur(self, plane: Plane, sigma: float) -> Plane:
        """Gaussian blur with a standard deviation in units."""
        return _blur(plane, sigma * self.pixels)

    def strokes(self) -> "Strokes":
        """An empty layer of strokes."""
        return Strokes(self)

    def texture(self, rng: np.random.Generator) -> Plane:
        """Smooth noise of mean 0 and unit variance over large areas, [height, width]."""
        bank = _texture_bank()
        field = bank[rng.integers(len(bank))]
        rows = round(_TEXTURE_CROP * self.bottom)
        columns = round(_TEXTURE_CROP * self.width / self.pixels)
        top, left = rng.integers(0, _TEXTURE_SIDE - max(rows, columns), 2)
        crop = field[top : top + rows, left : left + columns]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return as_plane(cv2.resize(crop, (self.width, self.height)))


@dataclass(frozen=True)
class Pose:
    """How a patient stands before the film: tilt in radians, magnification, and shift in units."""

    tilt: float
    zoom: float
    shift: tuple[float, float]

    def matrix(self, left: float) -> Points:
        """Affine map [2, 3] of positions from the canvas's left upper corner, in units.

        Tilt and magnification keep the middle of the chest, (0.5, 0.45), fixed.
        """
        cos, sin = self.zoom * np.cos(self.tilt), self.zoom * np.sin(self.tilt)
        linear = np.array([[cos, -sin], [sin, cos]])
        pivot = np.array([0.5 - left, 0.45])
        return np.column_stack([linear, pivot + self.shift - linear @ pivot])


class Strokes:
    """Lines and discs drawn enlarged in 8 bits, then averaged down to the film's pixels."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._enlarge = max(1, round(256 / canvas.pixels))
        self._scale = canvas.pixels * self._enlarge
        size = (canvas.height * self._enlarge, canvas.width * self._enlarge)
        self._plane = np.zeros(size, np.uint8)

    def lines(self, lines: Sequence[Points], width: float, value: float = 1.0) -> None:
        """Draw polylines, each [n, 2] in units; later strokes cover earlier ones."""
        if not lines:
            return
        ends = np.cumsum([len(line) for line in lines[:-1]])
        cv2.polylines(
            self._plane,
            np.split(self._fixed_point(np.concatenate(lines)), ends),
            isClosed=False,
            color=round(255 * value),
            thickness=max(1, round(width * self._scale)),
            lineType=cv2.LINE_AA,
            shift=_SUBPIXEL_BITS,
        )

    def polygon(self, points: Points, value: float = 1.0) -> None:
        """Fill a polygon, [n, 2] in units."""
        cv2.fillPoly(
            self._plane,
            [self._fixed_point(points)],
            color=round(255 * value),
            lineType=cv2.LINE_AA,
            shift=_SUBPIXEL_BITS,
        )

    def disc(self, centre: tuple[float, float], radius: float, value: float = 1.0) -> None:
        """Fill a disc; centre and radius in units."""
        x, y = self._fixed_point(np.array([centre]))[0]
        size = round(radius * self._scale * 2**_SUBPIXEL_BITS)
        cv2.circle(
            self._plane,
            (int(x), int(y)),
            size,
            color=round(255 * value),
            thickness=-1,
            lineType=cv2.LINE_AA,
            shift=_SUBPIXEL_BITS,
        )

    def plane(self) -> Plane:
        """The layer on the film's pixels, float32 in [0, 1]."""
        size = (self._canvas.width, self._canvas.height)
        small = cv2.resize(self._plane, size, interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / np.float32(255)

    def _fixed_point(self, points: Points) -> npt.NDArray[np.int32]:
        positions = (points - (self._canvas.left, 0.0)) * self._scale - 0.5
        return np.asarray(np.round(positions * 2**_SUBPIXEL_BITS), np.int32)


def as_plane(values: npt.ArrayLike) -> Plane:
    """Values as a plane, copied unless they are a float32 array."""
    return np.asarray(values, np.float32)


def sigmoid(plane: Plane) -> Plane:
    """The logistic function."""
    value: Plane = 0.5 + 0.5 * np.tanh(0.5 * plane)
    return value


def cap(plane: Plane) -> Plane:
    """Half the chord through a unit ball at squared distance 1 − `plane` from its centre."""
    return np.sqrt(np.maximum(plane, 0))


def smooth_curve(points: Points, samples: int = 48) -> Points:
    """Catmull-Rom spline through points [n, 2], resampled to [samples, 2]."""
    ends = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    at = np.linspace(0, len(points) - 1, samples)
    start = np.minimum(at.astype(int), len(points) - 2)
    t = (at - start)[:, None]
    a, b, c, d = (ends[start + k] for k in range(4))
    curve = (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return np.asarray(0.5 * curve)


_TEXTURE_SIDE = 256
_TEXTURE_CROP = 112


@lru_cache(1)
def _texture_bank() -> list[Plane]:
    rng = np.random.Generator(np.random.PCG64(12345))
    side = _TEXTURE_SIDE
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    fields = []
    for index in range(16):
        slope = 2.0 if index % 2 else 1.5
        spectrum = frequency**-slope * (frequency > 2 / side)
        field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * spectrum)
        fields.append((field / field.std()).astype(np.float32))
    return fields


@lru_cache(64)
def _centres(count: int, pixels: int) -> npt.NDArray[np.float32]:
    return ((np.arange(count) + 0.5) / pixels).astype(np.float32)


def _blur(plane: Plane, sigma: float) -> Plane:
    return as_plane(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
