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

from radscale_lib.pretrain.errors import PretrainError
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

    A global batch is cut into passes, and each pass into a stretch per process, so that a pass
    holds the same images whatever the number of processes.

    Attributes:
        seed: of the run.
        batch: images of a global batch.
        images: images of the run.
        rank: this process.
        world: number of processes.
        passes: passes of a step.
    """

    seed: int
    batch: int
    images: int
    rank: int = 0
    world: int = 1
    passes: int = 1

    def __post_init__(self) -> None:
        unit = self.world * self.passes
        if self.batch % unit:
            raise PretrainError(
                f"optimiser.batch {self.batch} cannot be shared by {self.world} devices in "
                f"{self.passes} passes: take {-(-self.batch // unit) * unit}"
            )

    @property
    def positions(self) -> list[int]:
        """Positions of the share's images in the global batch, pass by pass."""
        length = self.batch // self.passes
        size = length // self.world
        return [
            number * length + self.rank * size + place
            for number in range(self.passes)
            for place in range(size)
        ]

    def of_step(self, step: int) -> list[Sample]:
        """Samples of the share in a step."""
        first = step * self.batch
        drawn = samples(self.seed, self.images, first, first + self.batch)
        return [drawn[position] for position in self.positions]
