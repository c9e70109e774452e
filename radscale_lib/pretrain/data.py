"""The images of a run, and which of them make up each step.

A dataset has one item per optimiser step: this process's share of that step's global batch, a
function of the seed and the step alone.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.rows import Rows
from radscale_lib.pretrain.sampler import Sample, samples
from radscale_lib.shards.codec import Grey
from radscale_lib.shards.errors import DamagedImageError
from radscale_lib.shards.reader import Request, ShardReader

RESIDENT_PIXELS = 2**29
"""Runs with fewer pixels than this are decoded once and kept in memory (512 MiB)."""


class Loaded(NamedTuple):
    """An image of a step.

    Attributes:
        epoch: pass over the images in which it is seen.
        row: row in the run's table.
        key: key of its augmentation, together with the epoch.
        pixels: uint8 [H, W].
    """

    epoch: int
    table_row: int
    key: int
    pixels: Grey


class ImageSource:
    """Decoded images of a run: kept in memory if they are few, else read from the shards."""

    def __init__(
        self,
        rows: Rows,
        shards: Path | str,
        ranges: Path | None = None,
        damaged: Path | None = None,
        resident_pixels: int = RESIDENT_PIXELS,
    ) -> None:
        """Read the images of `rows`.

        Args:
            rows: the run's table.
            shards: folder or address of the shards.
            ranges: their index of byte ranges.
            damaged: file to which damaged images are appended; None stops at the first one.
            resident_pixels: runs with fewer pixels are held in memory.
        """
        self._rows = rows
        self._reader = ShardReader(shards, ranges)
        self._damaged = damaged
        self._resident_pixels = resident_pixels
        self._resident: list[Grey | DamagedImageError] | None = None
        self._ahead: dict[tuple[Share, int], Request] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes read from the shards."""
        return {**self.__dict__, "_resident": None, "_resident_pixels": 0, "_ahead": {}}

    def check(self) -> None:
        """Check that every shard of the run exists, intact and with enough rows.

        Raises:
            ShardError: naming all that fail.
        """
        self._reader.check(self._rows.last_rows)

    def step(self, share: "Share", step: int) -> list[Loaded]:
        """The images of a share in a step; this process's next step is prefetched.

        A damaged image is appended to the list of damaged ones and, wherever it is drawn, replaced
        by the image half the run's table further on.

        Raises:
            ShardError: if a shard cannot be read, or if an image is damaged and there is no list.
        """
        drawn = share.of_step(step)
        if self._resident is None and self._rows.pixels < self._resident_pixels:
            everything = self._request(range(len(self._rows)))
            self._resident = self._reader.images_or_defects(everything)
        if self._resident is not None:
            images = self._images([sample.table_row for sample in drawn])
        else:
            images = self._reader.images_or_defects(self._requests(share, step))
        return [self._load_undamaged(*pair) for pair in zip(drawn, images, strict=True)]

    def _requests(self, share: "Share", step: int) -> Request:
        """The read request of a step, after the one for this process's next step was issued."""
        worker = get_worker_info()
        following = step + (worker.num_workers if worker else 1)
        made = self._ahead
        self._ahead = {
            (share, number): made.get((share, number)) or self._request_of(share, number)
            for number in (step, following)
        }
        return self._ahead.pop((share, step))

    def _request_of(self, share: "Share", step: int) -> Request:
        return self._request([sample.table_row for sample in share.of_step(step)])

    def _request(self, rows: Sequence[int]) -> Request:
        return self._reader.request(*self._rows.places(rows))

    def _load_undamaged(self, sample: Sample, image: Grey | DamagedImageError) -> Loaded:
        epoch, row = sample
        for place in range(len(self._rows)):
            if not isinstance(image, DamagedImageError):
                return Loaded(epoch, row, self._rows.key(row), image)
            if self._damaged is None:
                raise image
            _append(self._damaged, f"{image.shard}\t{image.row}\n")
            row = (sample.table_row + len(self._rows) // 2 + place) % len(self._rows)
            (image,) = self._images([row])
        raise PretrainError(f"all {len(self._rows)} images are damaged: ingest again")

    def _images(self, rows: Sequence[int]) -> list[Grey | DamagedImageError]:
        if self._resident is not None:
            return [self._resident[row] for row in rows]
        return self._reader.images_or_defects(self._request(rows))


def damaged_images(path: Path) -> int:
    """Number of images in a list of damaged ones, which may name an image several times."""
    return len(set(path.read_text().splitlines())) if path.exists() else 0


def _append(path: Path, line: str) -> None:
    """Append a line in one write, so that processes can share the file."""
    print(f"damaged image left out: {line.strip()}", file=sys.stderr, flush=True)
    with path.open("a") as file:
        file.write(line)


@dataclass(frozen=True)
class Share:
    """A process's share of every global batch.

    A global batch is cut into passes, and each pass into one stretch per process, so that a pass
    has the same images for any number of processes.

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
                f"{self.passes} passes: use {-(-self.batch // unit) * unit}"
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
