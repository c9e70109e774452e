"""Images of a run, and which of them make up a step.

A dataset has one item per optimiser step: this process's share of that step's global batch, a
function of the seed and the step alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radscale_lib.pretrain.rows import Rows
from radscale_lib.pretrain.sampler import Sample, samples
from radscale_lib.shards.reader import ShardReader

RESIDENT_PIXELS = 2**29
"""Runs with fewer pixels than this are decoded once and kept in memory (512 MiB)."""


class ImageSource:
    """Decoded images of a run, from memory if they are few, else from the shards each time."""

    def __init__(self, rows: Rows, shards: Path, resident_pixels: int = RESIDENT_PIXELS) -> None:
        """Read the images of `rows` from the folder `shards`."""
        self._rows = rows
        self._reader = ShardReader(shards)
        self._resident_pixels = resident_pixels
        self._resident: list[NDArray[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes read from the shards."""
        return {**self.__dict__, "_resident": None, "_resident_pixels": 0}

    def images(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Grey images, uint8 [H, W] each."""
        if self._resident is None and self._rows.pixels < self._resident_pixels:
            self._resident = self._read(range(len(self._rows)))
        if self._resident is not None:
            return [self._resident[index] for index in indices]
        return self._read(indices)

    def _read(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        return self._reader.images(*self._rows.places(indices))


@dataclass(frozen=True)
class Share:
    """A process's share of every global batch.

    Attributes:
        seed: of the run.
        batch: images of a global batch.
        images: images of the run.
        rank: this process.
        world: number of processes.
    """

    seed: int
    batch: int
    images: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.world:
            raise ValueError(
                f"optimiser.batch {self.batch} is no multiple of {self.world} devices: "
                f"take {-(-self.batch // self.world) * self.world}"
            )

    @property
    def size(self) -> int:
        """Images of the share."""
        return self.batch // self.world

    @property
    def offset(self) -> int:
        """Position of the share in the global batch."""
        return self.rank * self.size

    def of_step(self, step: int) -> list[Sample]:
        """Samples of the share in a step."""
        start = step * self.batch + self.offset
        return samples(self.seed, self.images, start, start + self.size)
