"""The stored encoding: 8-bit grey PNG (ISO/IEC 15948), readable by everything."""

import cv2
import numpy as np
from numpy.typing import NDArray

LEVEL = 1
"""Deflate level: higher ones cost several times the time for a few per cent of the size."""


def encode(image: NDArray[np.uint8]) -> bytes:
    """Encode a grey image [H, W] as PNG."""
    done, buffer = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be encoded as PNG")
    return buffer.tobytes()


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG to a grey image, uint8 [H, W].

    Raises:
        ValueError: if the bytes are no image that can be decoded.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError("no decodable PNG")
    return image.astype(np.uint8, copy=False)
