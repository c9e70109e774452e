"""Prepare stored images for a tower, and map points of them.

Each kind of encoder defines the position of the square and the resampling of pixels
(`EncoderSection.place`, `resampling`). Resizing uses antialiasing, as the releases do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from radscale_lib.study.encoders import EncoderSection

if TYPE_CHECKING:
    from torch import Tensor


def to_input(images: Sequence[NDArray[np.uint8]], encoder: EncoderSection) -> Tensor:
    """Stored grey images, uint8 [H, W] each, as a tower's input: float32 [B, 1, S, S] in [0, 1]."""
    import torch

    stack = np.stack([prepare_one(image, encoder) for image in images])
    return torch.from_numpy(stack).unsqueeze(1).float() / 255


def prepare_one(image: NDArray[np.uint8], encoder: EncoderSection) -> NDArray[np.uint8]:
    """A stored grey image, uint8 [H, W], as a tower's square: uint8 [S, S]."""
    size = encoder.image_size
    height, width, top, left = encoder.place(*image.shape)
    image = resized(image, (height, width), encoder.resampling)
    if min(top, left) < 0 or top + size > height or left + size > width:
        square = np.full((size, size), encoder.fill, np.uint8)
        above, beside = max(-top, 0), max(-left, 0)
        part = image[max(top, 0) : top + size, max(left, 0) : left + size]
        square[above : above + part.shape[0], beside : beside + part.shape[1]] = part
        return square
    return image[top : top + size, left : left + size]


def resized(
    image: NDArray[np.uint8], size: tuple[int, int], resampling: str = "bicubic"
) -> NDArray[np.uint8]:
    """Resize a grey image, uint8 [H, W], to a number of rows and columns, with antialiasing.

    Used for films in evaluation and for crops in training.

    Args:
        image: the image.
        size: rows and columns of the result.
        resampling: one of Pillow's filters.
    """
    if image.shape == size:
        return image
    how = Image.Resampling[resampling.upper()]
    return np.asarray(Image.fromarray(image).resize(size[::-1], how))


def map_points(
    points: ArrayLike, height: int, width: int, encoder: EncoderSection
) -> NDArray[np.float64]:
    """Map points of a stored image to the tower's square.

    Args:
        points: [N, 2], (x, y) in pixels of the stored image; (0, 0) is the centre of the first.
        height: rows of the stored image.
        width: columns of the stored image.
        encoder: the study's encoder section.

    Returns:
        [N, 2], (x, y) as shares of the square's side from its upper left corner; outside [0, 1]
        for points that the tower does not see.
    """
    new_height, new_width, top, left = encoder.place(height, width)
    scale = np.array([new_width / width, new_height / height])
    centres = (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) * scale
    shares: NDArray[np.float64] = (centres - [left, top]) / encoder.image_size
    return shares
