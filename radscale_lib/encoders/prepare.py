"""Preparing stored images for a tower, and where their points come to lie.

MI2 sees the whole image squeezed into a square; RAD-DINO the central square after the shorter
side has the tower's size. Both resize bicubically with antialiasing, as their releases do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from radscale_lib.study.encoders import Mi2, RadDino

if TYPE_CHECKING:
    from torch import Tensor


def prepare(images: Sequence[NDArray[np.uint8]], encoder: Mi2 | RadDino) -> Tensor:
    """Stored grey images, uint8 [H, W] each, as a tower's input: float32 [B, 1, S, S] in [0, 1]."""
    import torch

    stack = np.stack([prepare_one(image, encoder) for image in images])
    return torch.from_numpy(stack).unsqueeze(1).float() / 255


def prepare_one(image: NDArray[np.uint8], encoder: Mi2 | RadDino) -> NDArray[np.uint8]:
    """A stored grey image, uint8 [H, W], as a tower's square: uint8 [S, S]."""
    size = encoder.image_size
    height, width, top, left = _geometry(image.shape[0], image.shape[1], encoder)
    if image.shape != (height, width):
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        image = np.asarray(resized)
    return image[top : top + size, left : left + size]


def map_points(
    points: ArrayLike, height: int, width: int, encoder: Mi2 | RadDino
) -> NDArray[np.float64]:
    """Where points of a stored image lie in the tower's square.

    Args:
        points: [N, 2], (x, y) in pixels of the stored image; (0, 0) is the centre of the first.
        height: rows of the stored image.
        width: columns of the stored image.
        encoder: the study's encoder section.

    Returns:
        [N, 2], (x, y) as shares of the square's side from its upper left corner. RAD-DINO's crop
        leaves some points outside [0, 1].
    """
    new_height, new_width, top, left = _geometry(height, width, encoder)
    scale = np.array([new_width / width, new_height / height])
    centres = (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) * scale
    shares: NDArray[np.float64] = (centres - [left, top]) / encoder.image_size
    return shares


def _geometry(height: int, width: int, encoder: Mi2 | RadDino) -> tuple[int, int, int, int]:
    """Size after resizing, and the upper left corner of the square in it: (H, W, top, left)."""
    size = encoder.image_size
    if isinstance(encoder, Mi2):
        return size, size, 0, 0
    shorter = min(height, width)
    new_height, new_width = (max(round(side * size / shorter), size) for side in (height, width))
    return new_height, new_width, (new_height - size) // 2, (new_width - size) // 2
