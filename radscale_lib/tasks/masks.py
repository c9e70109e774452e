"""Tube masks from polylines and areas, and their form in tables."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.frame import Frame, Square

SUBPIXEL_BITS = 4


class PlacedTube(NamedTuple):
    """A tube in pixels of a frame, (x, y) from its upper left corner."""

    lines: list[NDArray[np.float64]]
    """One polyline [n, 2] from entry to tip, or the outlines of an area."""
    is_area: bool = False


def draw_mask(
    tubes: Iterable[PlacedTube], shape: tuple[int, int], width: float
) -> NDArray[np.bool_]:
    """Draw tubes into one mask, without anti-aliasing.

    Args:
        tubes: parts outside the mask are cut off.
        shape: rows and columns of the mask.
        width: width of polylines in pixels, at least one; not used for areas.

    Returns:
        [rows, columns].
    """
    mask = np.zeros(shape, np.uint8)
    for tube in tubes:
        # OpenCV puts the centre of the first pixel at (0, 0).
        fixed = [np.rint((line - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32) for line in tube.lines]
        if tube.is_area:
            cv2.fillPoly(mask, fixed, 1, cv2.LINE_8, SUBPIXEL_BITS)
        else:
            thickness = max(1, round(width))
            cv2.polylines(mask, fixed, False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)
    return mask.astype(bool)


class TubeMasks:
    """True masks of images by position, drawn on request, since all would not fit in memory."""

    def __init__(
        self,
        rows: pl.DataFrame,
        classes: Sequence[str],
        task: Segmentation,
        encoder: EncoderSection,
    ) -> None:
        """Read the tubes.

        Args:
            rows: catalog rows with annotated `tubes`; labels that are not among the classes are
                left out.
            classes: names of the masks, in order.
            task: size and width, and how to treat what an encoder would crop.
            encoder: the encoder in whose square the films are seen.
        """
        self.classes, self.size, self.width = classes, task.output_size, task.tube_width
        self.frames: list[Frame] = []
        self.squares: list[Square] = []
        self.tubes: list[dict[str, list[PlacedTube]]] = []
        for tubes, height, width in rows.select("tubes", "height", "width").iter_rows():
            frame = Frame.of(height, width, self.size)
            self.frames.append(frame)
            self.squares.append(Square.on(frame, encoder, task.unseen == "padded", self.size))
            self.tubes.append(_placed(tubes, frame))

    def truth(self, image: int) -> dict[str, NDArray[np.bool_]]:
        """Masks [rows, columns] of the film's tubes, in its frame."""
        frame = self.frames[image]
        return {
            name: draw_mask(tubes, (frame.rows, frame.columns), self.width * frame.side)
            for name, tubes in self.tubes[image].items()
            if name in self.classes
        }

    def seen(self, images: Iterable[int]) -> NDArray[np.float32]:
        """Masks [B, classes, size, size] in the encoder's square, as shares of each pixel."""
        images = list(images)
        masks = np.zeros((len(images), len(self.classes), self.size, self.size), np.float32)
        for target, image in zip(masks, images, strict=True):
            for name, mask in self.truth(image).items():
                target[self.classes.index(name)] = self.squares[image].see(mask)
        return masks

    def tips(self, image: int, name: str) -> list[float]:
        """Tips of the tubes of a class, x and y alternating, in pixels of the frame.

        The tip is a polyline's last point; a tube drawn as an area has no known tip. A tip drawn
        outside the film is moved to its edge.
        """
        frame = self.frames[image]
        tips = [
            tube.lines[0][-1].clip(0, [frame.columns, frame.rows])
            for tube in self.tubes[image].get(name, ())
            if not tube.is_area
        ]
        return [float(value) for tip in tips for value in tip]


def _placed(tubes: str, frame: Frame) -> dict[str, list[PlacedTube]]:
    placed: dict[str, list[PlacedTube]] = {}
    for tube in json.loads(tubes):
        drawn = tube["area"] if "area" in tube else [tube["points"]]
        lines = [frame.place(line) for line in drawn]
        placed.setdefault(tube["label"], []).append(PlacedTube(lines, "area" in tube))
    return placed


def encode_mask(mask: NDArray[np.bool_]) -> bytes | None:
    """A mask as a PNG with one bit per pixel; None if it is empty."""
    if not mask.any():
        return None
    options = [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 9]
    return cv2.imencode(".png", mask.astype(np.uint8) * 255, options)[1].tobytes()


def decode_mask(png: bytes | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask given to `encode_mask`.

    Args:
        png: the result of `encode_mask`.
        shape: rows and columns.
    """
    if png is None:
        return np.zeros(shape, bool)
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)) > 0
