"""From stored values to display grey levels: the transforms of PS3.3 C.7.6.3, C.11.1 and C.11.2.

A pixel has at most 16 bits, so every transform is a table over the possible stored values, and
limits and percentiles come exactly from a histogram.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.outcomes import QuarantinedError

Floats = NDArray[np.float64]
Policy = Literal["minmax", "percentile", "voi"]
WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table (PS3.3 C.11.1.1 and C.11.2.1.1)."""

    first: int
    values: NDArray[np.int64]
    bits: int

    def __call__(self, x: Floats) -> Floats:
        """Look values up; those outside the table get its first or last entry."""
        index = np.clip(np.floor(x + 0.5) - self.first, 0, len(self.values) - 1)
        found: Floats = self.values[index.astype(np.int64)].astype(np.float64)
        return found


class Window(NamedTuple):
    """A window (PS3.3 C.11.2.1.2)."""

    centre: float
    width: float
    function: WindowFunction

    def __call__(self, x: Floats) -> Floats:
        """Windowed values in 0 to 1."""
        if self.function == "SIGMOID":
            # The logistic function of 4·(x − centre)/width, in a form that cannot overflow.
            return (1 + np.tanh(2 * (x - self.centre) / self.width)) / 2
        if self.function == "LINEAR_EXACT":
            return np.clip((x - self.centre) / self.width + 0.5, 0, 1)
        if self.width <= 1:  # the standard's formula at its limit: a threshold
            return (x > self.centre - 0.5).astype(np.float64)
        return np.clip((x - (self.centre - 0.5)) / (self.width - 1) + 0.5, 0, 1)


@dataclass(frozen=True)
class GreyScale:
    """What the header says about the meaning of stored values."""

    bits: int
    """Bits Stored, 1 to 16."""
    signed: bool
    inverted: bool
    """MONOCHROME1: the lowest value is white."""
    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: Lut | None = None
    padding: tuple[int, int] | None = None
    """Stored values, first to last, that are not part of the image."""
    voi: Lut | Window | None = None

    def read_as(self, bits: int, signed: bool) -> "GreyScale":
        """The same scale for pixels with another number of bits, or another sign."""
        if (bits, signed) == (self.bits, self.signed):
            return self
        padding = self.padding
        if padding and signed != self.signed:
            lowest = -(1 << bits - 1) if signed else 0
            first, last = ((value - lowest) % (1 << bits) + lowest for value in padding)
            padding = min(first, last), max(first, last)
        return replace(self, bits=bits, signed=signed, padding=padding)

    def stored_values(self) -> NDArray[np.int64]:
        """The stored value of every bit pattern, int64 [2^bits] (two's complement if signed)."""
        values = np.arange(1 << self.bits)
        return values - ((values >> (self.bits - 1)) << self.bits) if self.signed else values

    def in_order(self, patterns: NDArray[Any]) -> NDArray[Any]:
        """Bit patterns as unsigned numbers in the order of their values; its own inverse."""
        return patterns ^ patterns.dtype.type(1 << (self.bits - 1)) if self.signed else patterns

    def modality_values(self) -> Floats:
        """The modality value (PS3.3 C.11.1) of every bit pattern, float64 [2^bits]."""
        stored = self.stored_values().astype(np.float64)
        if self.modality_lut:
            return self.modality_lut(stored)
        return stored * self.slope + self.intercept


class Rendered(NamedTuple):
    """An image one affine step before display grey levels, with its original range.

    The step can be applied after a resize, on fewer pixels.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
    """[H, W]"""
    black: float
    """Value that is shown as 0."""
    scale: float
    """Grey levels per unit of value; negative if low values are white."""
    p1: float
    p50: float
    p99: float
    """Percentiles of the modality values of all pixels except padding."""

    def grey(self, values: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Display grey levels, 0 (black) to 255 (white), of the image's or of resized values."""
        shown = (self.values if values is None else values).astype(np.float32)
        shown -= np.float32(self.black)
        shown *= np.float32(self.scale)
        return shown


def render(patterns: NDArray[np.unsignedinteger], scale: GreyScale, policy: Policy) -> Rendered:
    """Map stored bit patterns to grey levels: modality, window, inversion, in this order.

    Padding is left out of limits and percentiles, and is black. Where the policy is `voi` and the
    file has none, minimum and maximum are used.

    Args:
        patterns: unsigned integers [H, W] below 2^bits.
        scale: the header's grey scale.
        policy: which values become black and white.

    Raises:
        QuarantinedError: `constant` if all pixels have one value.
    """
    counts = _histogram(patterns, scale.bits)
    padding = np.zeros(len(counts), bool)
    if scale.padding:
        stored = scale.stored_values()
        padding = (stored >= scale.padding[0]) & (stored <= scale.padding[1])
    values = scale.modality_values()
    present = np.flatnonzero((counts > 0) & ~padding)
    if len(present) == 0 or np.ptp(values[present]) == 0:
        raise QuarantinedError("constant")
    p1, p50, p99 = _percentiles(values[present], counts[present], (1, 50, 99))
    low, high = float(values[present].min()), float(values[present].max())
    straight = scale.modality_lut is None and scale.padding is None
    if straight and (policy == "minmax" or (policy == "voi" and scale.voi is None)):
        return Rendered(*_spread(patterns, scale, present), p1, p50, p99)
    if policy == "percentile" and p99 > p1:
        low, high = p1, p99
    if policy == "voi" and isinstance(scale.voi, Window):
        shown = scale.voi(values)
    elif policy == "voi" and isinstance(scale.voi, Lut):
        shown = np.clip(scale.voi(values) / ((1 << scale.voi.bits) - 1), 0, 1)
    else:
        shown = np.clip((values - low) / (high - low), 0, 1)
    if scale.inverted:
        shown = 1 - shown
    shown[padding] = 0
    table = (255 * shown).astype(np.float32)
    return Rendered(table[patterns], 0, 1, p1, p50, p99)


def _histogram(patterns: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.int64]:
    """How often each bit pattern occurs, int64 [2^bits]."""
    counts = np.zeros(1 << bits, np.int64)
    # OpenCV counts in float32, which is exact for a strip of rows that has at most 2^24 pixels.
    rows = max(1, 2**24 // patterns.shape[1])
    for top in range(0, len(patterns), rows):
        strip = patterns[top : top + rows]
        counts += cv2.calcHist([strip], [0], None, [1 << bits], [0, 1 << bits]).ravel().astype(int)
    return counts


def _spread(
    patterns: NDArray[Any], scale: GreyScale, present: NDArray[np.int64]
) -> tuple[NDArray[Any], float, float]:
    """Values, black and scale that spread the stored values that occur over 0 to 255."""
    patterns, present = scale.in_order(patterns), scale.in_order(present)
    low, high = int(present.min()), int(present.max())
    step = 255 / (high - low)
    return (patterns, high, -step) if (scale.slope < 0) != scale.inverted else (patterns, low, step)


def _percentiles(
    values: Floats, counts: NDArray[np.int64], percents: tuple[int, ...]
) -> list[float]:
    """Inverted-CDF percentiles (Hyndman and Fan 1996, definition 1) of counted values."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    ranks = [-(-percent * int(cumulative[-1]) // 100) for percent in percents]
    return [float(values[order[np.searchsorted(cumulative, rank)]]) for rank in ranks]
