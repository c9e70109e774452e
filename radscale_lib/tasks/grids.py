"""Feature maps of many images in a temporary file, one byte per number: the encoder runs once."""

import errno
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import accumulate
from shutil import disk_usage

import numpy as np
import torch
from torch import Tensor

from radscale_lib.encoders.features import Features
from radscale_lib.provenance.step import InputError
from radscale_lib.tasks.frozen import FrozenEncoder

STEPS = 255
"""Steps between the smallest and the largest number of an image's channel."""
SCALE_BYTES = 8
"""Header of each channel of an image: its smallest number and its step, float32."""

Chosen = Callable[[Features], Sequence[Tensor]]


def four_levels(features: Features) -> Sequence[Tensor]:
    """The four levels of a batch."""
    return features.levels


def encode(part: Tensor) -> Tensor:
    """Numbers [B, C, ...] as bytes [B, R]: each channel's minimum and step, then a byte each.

    The error is at most half a step, the range of an image's channel / 510.
    """
    cells = part.flatten(2) if part.dim() > 2 else part[..., None]
    low, high = cells.float().aminmax(dim=2, keepdim=True)
    step = (high - low) / STEPS
    codes = ((cells - low) / step.clamp(min=torch.finfo(torch.float32).tiny)).round().byte()
    scales = torch.cat([low, step], dim=2).flatten(1).contiguous()
    return torch.cat([scales.view(torch.uint8), codes.flatten(1)], dim=1)


def decode(raw: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The numbers given to `encode`, float32 [B, *shape], from bytes [B, R]."""
    channels = shape[0]
    scales = raw[:, : SCALE_BYTES * channels].contiguous().view(torch.float32)
    low, step = scales.view(-1, channels, 2, 1).unbind(dim=2)
    codes = raw[:, SCALE_BYTES * channels :].view(len(raw), channels, -1)
    numbers: Tensor = codes * step + low
    return numbers.view(-1, *shape)


def record_bytes(shape: Sequence[int]) -> int:
    """Number of bytes for an image's numbers with a shape [C, ...]."""
    return SCALE_BYTES * shape[0] + math.prod(shape)


class Grids:
    """Numbers of images by position, in an unnamed file that disappears with the job."""

    def __init__(self, encoder: FrozenEncoder, label: str, chosen: Chosen = four_levels) -> None:
        """Run the encoder over all images, once.

        Args:
            encoder: an encoder of at least one image.
            label: what to call the work in progress lines.
            chosen: selects what to keep of a batch's features: parts [B, C, ...].

        Raises:
            InputError: if the folder of temporary files (TMPDIR) has too little room.
            NotFiniteError: naming level and image.
        """
        self.device = encoder.device
        self.shapes: list[tuple[int, ...]] = []
        self._count = len(encoder)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        for _, features in encoder.batches(label):
            parts = chosen(features)
            if not self.shapes:
                self.shapes = [tuple(part.shape[1:]) for part in parts]
                self._require_room()
            raw = torch.cat([encode(part) for part in parts], dim=1)
            try:
                self._file.write(raw.cpu().numpy().data)
                self._file.flush()
            except OSError as error:
                raise self._no_room(error.strerror) from None

    def __len__(self) -> int:
        """Number of images."""
        return self._count

    def __enter__(self) -> "Grids":
        """The grids."""
        return self

    def __exit__(self, *error: object) -> None:
        """Release the file."""
        self._file.close()

    @property
    def record(self) -> int:
        """Number of bytes per image."""
        return sum(map(record_bytes, self.shapes))

    def read(self, images: Tensor) -> Tensor:
        """Stored bytes [B, R] of the images at the given positions, for `decode`.

        Raises:
            OSError: if they cannot be read.
        """
        raw = np.empty((len(images), self.record), np.uint8)
        for row, image in zip(raw, images.tolist(), strict=True):
            start, left = image * self.record, row.data
            while len(left):
                done = os.preadv(self._file.fileno(), [left], start)
                if not done:
                    raise OSError(errno.EIO, "the temporary file of feature maps ends early")
                start, left = start + done, left[done:]
        return torch.from_numpy(raw)

    def decode(self, raw: Tensor) -> list[Tensor]:
        """Parts [B, C, ...] from the bytes of `read`, float32, on the encoder's device."""
        raw = raw.to(self.device)
        ends = list(accumulate(map(record_bytes, self.shapes)))
        return [
            decode(raw[:, end - record_bytes(shape) : end], shape)
            for end, shape in zip(ends, self.shapes, strict=True)
        ]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Parts [B, C, ...] of the images at given positions, float32, on the encoder's device."""
        return self.decode(self.read(images))

    def _require_room(self) -> None:
        if self._count * self.record > disk_usage(tempfile.gettempdir())[2]:
            raise self._no_room(os.strerror(errno.ENOSPC))

    def _no_room(self, reason: str | None) -> InputError:
        return InputError(
            f"{tempfile.gettempdir()}: {reason}: feature maps of the training images take "
            f"{self._count * self.record / 1e9:.3g} GB while a run is evaluated: set TMPDIR to a "
            "larger folder, or lower train_images"
        )
