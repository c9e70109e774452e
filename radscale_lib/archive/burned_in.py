"""Text burnt into the pixels: lines of sharp, letter-like marks.

Burnt-in letters change grey within two pixels, which anatomy, blurred by focus and detector, does
not. Outlines of such steps are joined into lines by size and distance, and a line counts as text if
its rows cross as many strokes as rows of letters do. `benchmarks/burned_in.py` measures the recall;
`docs/hospital/privacy.md` says what is missed.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.pixels import Patterns

_STEP = 48
"""Change of grey between neighbours that makes an edge, of 255."""
_FAINT_STEP = 24
"""The same where one of them is the image's darkest or brightest value, as most ink is."""
_OUTLIERS = 10_000
"""One in this many pixels is ignored at each end of the grey range."""
_SMALLEST = 6
"""Height of a letter's outline, pixels: about two more than the printed letter's."""
_LARGEST = 0.12
"""Height of a letter's outline, as a share of the image's shorter side."""
_LONGEST = 40
"""Width of letters that touch, as a multiple of their height."""
_ALIKE = 2.0
"""Maximum ratio of the heights of neighbouring letters."""
_SHORTEST = 1.8
"""Minimum width of a line, as a multiple of its height: wider than a side marker, narrower than
three letters."""
_STROKES, _STROKES_OF_HEIGHT = 6, 1.3
"""Minimum changes between ink and background in a row: in all, and per line height of width."""
_ROWS_WITHOUT = 0.65
"""Share of a line's rows that may have fewer, as those above and below the letters do."""
_ABOVE, _BESIDE = 0.35, 1.5
"""Margin masked around a line, as a share of its height; letters of low contrast may follow it."""
_KERNEL = np.ones((3, 3), np.uint8)
_STRIP = 128
"""Rows processed together, so that they stay in the processor's cache."""


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    def transposed(self) -> "Box":
        """The rectangle with rows and columns exchanged."""
        return Box(self.top, self.left, self.bottom, self.right)


def find_text(grey: Patterns) -> list[Box]:
    """Lines of text in an image, upright or rotated by 90°, from the top.

    Args:
        grey: unsigned integers [H, W] in the order of grey, rising or falling.

    Returns:
        Boxes with a margin. Single letters, such as side markers, do not count as text.
    """
    eight_bits = _eight_bits(grey)
    marks = _outlines(_edges(grey, eight_bits))
    shorter = min(grey.shape)
    upright = _lines(marks, shorter, eight_bits)
    turned = _lines(marks[:, [1, 0, 3, 2]], shorter, eight_bits.T)
    return sorted({*upright, *(box.transposed() for box in turned)}, key=lambda box: box[1::-1])


def mask_text(grey: Patterns, boxes: list[Box]) -> Patterns:
    """A copy of the image in which each box has the median of its border."""
    masked = grey.copy()
    for box in boxes:
        inside = masked[box.top : box.bottom, box.left : box.right]
        border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        middle = len(border) // 2
        inside[:] = np.partition(border, middle)[middle]
    return masked


def _eight_bits(grey: Patterns) -> NDArray[np.uint8]:
    """The image scaled to 8 bits over the range of nearly all of its pixels."""
    sample = grey[::4, ::4].ravel()
    rank = len(sample) // _OUTLIERS
    ends = np.partition(sample, [rank, len(sample) - 1 - rank])[[rank, len(sample) - 1 - rank]]
    low, high = map(int, ends)
    eight_bits = np.empty(grey.shape, np.uint8)
    for top in range(0, len(grey), _STRIP):
        rows = slice(top, top + _STRIP)
        raised = cv2.subtract(grey[rows], np.array(low, np.float64))
        eight_bits[rows] = cv2.convertScaleAbs(raised, alpha=255 / max(1, high - low))
    return eight_bits


def _edges(grey: Patterns, eight_bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where grey changes as sharply as at ink."""
    low, high, _, _ = cv2.minMaxLoc(grey)
    edges = np.empty(grey.shape, np.uint8)
    for top in range(0, len(grey), _STRIP):
        first = max(0, top - 1)
        rows = slice(first, top + _STRIP + 1)  # with a neighbour above and below
        steps = cv2.morphologyEx(eight_bits[rows], cv2.MORPH_GRADIENT, _KERNEL)
        _, sharp = cv2.threshold(steps, _STEP - 1, 255, cv2.THRESH_BINARY)
        _, faint = cv2.threshold(steps, _FAINT_STEP - 1, 255, cv2.THRESH_BINARY)
        between = cv2.inRange(grey[rows], np.array(low + 1), np.array(high - 1))
        faint = cv2.subtract(faint, cv2.erode(between, _KERNEL))
        edges[top : top + _STRIP] = cv2.max(sharp, faint)[top - first :][:_STRIP]
    return edges


def _outlines(edges: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Left, top, right and bottom of connected edges, int64 [N, 4], nested ones included."""
    contours, tree = cv2.findContours(edges, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = tree[0, :, 3] if len(contours) else ()
    outer = [
        cv2.boundingRect(contour)
        for contour, parent in zip(contours, parents, strict=True)
        if parent < 0
    ]
    boxes = np.array(outer, np.int64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _lines(marks: NDArray[np.int64], shorter: int, eight_bits: NDArray[np.uint8]) -> list[Box]:
    """Horizontal lines of text among outlines."""
    left, top, right, bottom = marks.T
    height, width = bottom - top, right - left
    letters = (
        (height >= _SMALLEST)
        & (height <= _LARGEST * shorter)
        & (2 * width >= _SMALLEST)
        & (width <= _LONGEST * height)
    )
    boxes = []
    for chain in _chains(marks[letters]):
        line = float(np.median(chain[:, 3] - chain[:, 1]))
        box = Box(*chain[:, :2].min(axis=0).tolist(), *chain[:, 2:].max(axis=0).tolist())
        if box.right - box.left >= _SHORTEST * line and _has_strokes(eight_bits, box, line):
            boxes.append(_widened(box, line, eight_bits.shape))
    return boxes


def _chains(marks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Outlines grouped with their neighbours on a line."""
    marks = marks[np.argsort(marks[:, 0], kind="stable")]
    left, top, right, bottom = marks.T
    height = bottom - top
    group = np.arange(len(marks))
    for i in range(len(marks)):
        near = slice(i + 1, int(np.searchsorted(left, right[i] + height.max(), side="right")))
        smaller = np.minimum(height[near], height[i])
        larger = np.maximum(height[near], height[i])
        shared = np.minimum(bottom[near], bottom[i]) - np.maximum(top[near], top[i])
        joined = (
            (left[near] - right[i] <= larger)
            & (2 * shared >= smaller)
            & (larger <= _ALIKE * smaller)
        )
        group[np.isin(group, group[near][joined])] = group[i]
    return [marks[group == number] for number in np.unique(group)]


def _has_strokes(eight_bits: NDArray[np.uint8], box: Box, line: float) -> bool:
    """Whether the rows of a box change between ink and background as often as letters do."""
    patch = np.ascontiguousarray(eight_bits[box.top : box.bottom, box.left : box.right])
    _, ink = cv2.threshold(patch, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    changes = np.count_nonzero(ink[:, 1:] != ink[:, :-1], axis=1)
    least = max(_STROKES, _STROKES_OF_HEIGHT * (box.right - box.left) / line)
    return bool(np.quantile(changes, _ROWS_WITHOUT) >= least)


def _widened(box: Box, line: float, shape: tuple[int, ...]) -> Box:
    above, beside = round(_ABOVE * line), round(_BESIDE * line)
    return Box(
        max(0, box.left - beside),
        max(0, box.top - above),
        min(shape[1], box.right + beside),
        min(shape[0], box.bottom + above),
    )
