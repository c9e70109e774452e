"""A film's frame, in which masks of all encoders are compared, and encoders' squares on it.

The frame is the whole stored image with its shorter side at a fixed number of pixels. An encoder
sees a square, cropped, squeezed or padded depending on its kind (`EncoderSection.place`).
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from radscale_lib.study.encoders import EncoderSection


class Frame(NamedTuple):
    """A stored image, and its frame.

    Attributes:
        height: rows of the stored image.
        width: columns of the stored image.
        rows: of the frame.
        columns: of the frame.
    """

    height: int
    width: int
    rows: int
    columns: int

    @classmethod
    def of(cls, height: int, width: int, shorter: int) -> Frame:
        """The frame of an image whose shorter side becomes `shorter` pixels."""
        scale = shorter / min(height, width)
        return cls(height, width, round(height * scale), round(width * scale))

    @property
    def side(self) -> int:
        """Shorter side, pixels."""
        return min(self.rows, self.columns)

    def place(self, points: ArrayLike) -> NDArray[np.float64]:
        """Convert points of the stored image to the frame.

        Args:
            points: [N, 2], (x, y) in pixels of the stored image; (0, 0) is the centre of the first.

        Returns:
            [N, 2], (x, y) in pixels from the upper left corner of the frame.
        """
        scale = np.array([self.columns / self.width, self.rows / self.height])
        placed: NDArray[np.float64] = (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) * scale
        return placed


class Square(NamedTuple):
    """An encoder's square on a frame: coordinate in the square = scale * coordinate + offset.

    Both coordinates are in pixels from the respective upper left corner.
    """

    frame: Frame
    size: int
    scale: tuple[float, float]
    offset: tuple[float, float]

    @classmethod
    def on(cls, frame: Frame, encoder: EncoderSection, whole: bool, size: int) -> Square:
        """The square of an encoder.

        Args:
            frame: the film's.
            encoder: the encoder.
            whole: whether films that it would crop are padded first (`padded`).
            size: pixels of the square's side.
        """
        side = padded_side(frame.height, frame.width, encoder) if whole else None
        height, width = (frame.height, frame.width) if side is None else (side, side)
        above, beside = _margins(frame.height, frame.width, side)
        rows, columns, top, left = encoder.place(height, width)
        share = size / encoder.image_size
        scale = (
            columns / width * frame.width / frame.columns * share,
            rows / height * frame.height / frame.rows * share,
        )
        offset = (
            (beside * columns / width - left) * share,
            (above * rows / height - top) * share,
        )
        return cls(frame, size, scale, offset)

    def see(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """A mask of the frame as seen in the square: its share of each pixel, [size, size]."""
        frame, (right, down) = self.frame, self.offset
        # Pixels are averaged first, so that squeezing does not lose a line.
        columns, rows = (
            round(length * min(scale, 1))
            for length, scale in zip((frame.columns, frame.rows), self.scale, strict=True)
        )
        whole = mask.astype(np.float32)
        squeezed = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        x, y = self.scale[0] * frame.columns / columns, self.scale[1] * frame.rows / rows
        # Pixel centres lie half a pixel from the corners to which scale and offset refer.
        matrix = np.array(
            [[1 / x, 0, _centred(1 / x, -right / x)], [0, 1 / y, _centred(1 / y, -down / y)]]
        )
        return np.asarray(
            cv2.warpAffine(squeezed, matrix, (self.size, self.size), flags=_INTERPOLATED),
            np.float32,
        )

    def back(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map values of the square [size, size] to the frame; 0 outside the square."""
        (x, y), (right, down) = self.scale, self.offset
        frame = self.frame
        matrix = np.array([[x, 0, _centred(x, right)], [0, y, _centred(y, down)]])
        size, edge = (frame.columns, frame.rows), cv2.BORDER_REPLICATE
        brought = np.asarray(
            cv2.warpAffine(values, matrix, size, flags=_INTERPOLATED, borderMode=edge), np.float32
        )
        for axis, (scale, offset, length) in enumerate(
            ((y, down, frame.rows), (x, right, frame.columns))
        ):
            centres = (np.arange(length) + 0.5) * scale + offset
            unseen = (centres < 0) | (centres > self.size)
            brought[(slice(None),) * axis + (unseen,)] = 0
        return brought


GROWTH = 1.01
"""Growth factor of a square that is too small; cropping by a share needs a few steps."""
_INTERPOLATED = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def _centred(scale: float, offset: float) -> float:
    """Convert an offset between pixel corners to one between pixel centres."""
    return 0.5 * scale + offset - 0.5


def padded_side(height: int, width: int, encoder: EncoderSection) -> int | None:
    """Side of the square to which a film is padded so that an encoder sees all of it.

    None if no padding is needed.
    """
    side = None
    while not _sees_all(height, width, side, encoder):
        side = max(height, width) if side is None else ceil(side * GROWTH)
    return side


def _sees_all(height: int, width: int, side: int | None, encoder: EncoderSection) -> bool:
    """Whether an encoder sees all of a film padded to a square, or not padded (None)."""
    above, beside = _margins(height, width, side)
    full = (height, width) if side is None else (side, side)
    rows, columns, top, left = encoder.place(*full)
    for length, margin, whole, resized, corner in (
        (height, above, full[0], rows, top),
        (width, beside, full[1], columns, left),
    ):
        first, last = (edge * whole / resized for edge in (corner, corner + encoder.image_size))
        if first > margin or last < margin + length:
            return False
    return True


def padded(image: NDArray[np.uint8], encoder: EncoderSection) -> NDArray[np.uint8]:
    """A stored image, padded to a square if the encoder would crop it."""
    height, width = image.shape
    side = padded_side(height, width, encoder)
    if side is None:
        return image
    square = np.full((side, side), encoder.fill, np.uint8)
    above, beside = _margins(height, width, side)
    square[above : above + height, beside : beside + width] = image
    return square


def _margins(height: int, width: int, side: int | None) -> tuple[int, int]:
    """Rows above and columns left of a film padded to a square; 0 without a side."""
    return (0, 0) if side is None else ((side - height) // 2, (side - width) // 2)
