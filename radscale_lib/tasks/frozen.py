"""A frozen encoder applied to the catalog's images."""

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from radscale_lib.encoders.features import Features, Tower
from radscale_lib.encoders.prepare import to_input
from radscale_lib.encoders.storage import load_tower
from radscale_lib.progress import Progress
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study.compute import Compute
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.frame import padded
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.memory import Memory

LARGEST = 0x7BFF
"""Bits of the largest number of float16; those of infinity and NaN are larger."""
NEGATIVE = 0x8000
"""Bit of its sign."""


class FrozenEncoder:
    """Reads stored images and runs an encoder on them, without gradients."""

    def __init__(
        self,
        inputs: Inputs,
        rows: pl.DataFrame,
        compute: Compute,
        batch: int,
        whole: bool = False,
    ) -> None:
        """Load the encoder.

        Args:
            inputs: the run's files.
            rows: catalog rows of the images, which are addressed by position.
            compute: device and precision.
            batch: images per forward pass.
            whole: whether films that the encoder would crop are padded first (`frame.padded`).
        """
        self.device = torch.device(compute.device)
        self.tower: Tower = load_tower(inputs.encoder).to(self.device)
        self.precision = compute.precision
        self.batch = batch
        self.whole = whole
        self.rows = rows
        self.reader = ShardReader(inputs.shards, inputs.ranges)
        self.memory = self._memory(inputs)
        self._check()

    def _memory(self, inputs: Inputs) -> Memory | None:
        """Memory for features that are needed more than once; None if they are too many."""
        memory = None if self.whole else inputs.memory
        return memory if memory and memory.fits(self.tower.encoder.feature_numbers()) else None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def over(self, rows: pl.DataFrame) -> "FrozenEncoder":
        """The same encoder for other images."""
        other = copy(self)
        other.rows = rows
        other._check()
        return other

    def at(self, inputs: Inputs, rows: pl.DataFrame) -> "FrozenEncoder":
        """The same encoder for images of another archive."""
        other = copy(self)
        other.rows = rows
        other.reader = ShardReader(inputs.shards, inputs.ranges)
        other.memory = self._memory(inputs)
        other._check()
        return other

    def _check(self) -> None:
        """Refuse shards that do not match the index and the catalog.

        Raises:
            ShardError: naming them.
        """
        last = self.rows.group_by("shard").agg(pl.col("row").max())
        self.reader.check(dict(last.iter_rows()))

    def features(self, images: list[int]) -> Features:
        """Features of the given images, rounded to float16, on the device.

        They come from one forward pass, or from memory (`tasks.memory`).

        Returns:
            float32.

        Raises:
            NotFiniteError: naming level and image.
        """
        rows = self.rows[images]
        if self.memory is None:
            return _cast(self._encode(rows), torch.float32)
        parts = self.memory(rows, lambda rows: _arrays(self._encode(rows)))
        global_, one, two, three, four = (
            torch.from_numpy(part).to(self.device, torch.float32) for part in parts
        )
        return Features(global_, (one, two, three, four))

    @torch.no_grad()
    def _encode(self, rows: pl.DataFrame) -> Features:
        """Features of the given catalog rows, float16."""
        stored = self.reader.images(rows["shard"].to_list(), rows["row"].to_list())
        if self.whole:
            stored = [padded(image, self.tower.encoder) for image in stored]
        inputs = to_input(stored, self.tower.encoder).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, self.precision == "bf16"):
            features = self.tower.levels(inputs)
        features = _cast(features, torch.float16)
        self._require_finite(features, rows)
        return features

    @staticmethod
    def _require_finite(features: Features, places: pl.DataFrame) -> None:
        parts = [*features.levels, features.global_]
        if all_finite(parts):
            return
        for name, part in zip(("1", "2", "3", "4", "global"), parts, strict=True):
            wrong = ~part.isfinite().flatten(1).all(1)
            if wrong.any():
                first = int(wrong.nonzero()[0])
                shard, row = places[first].select("shard", "row").row(0)
                kind = "NaN" if bool(part[first].isnan().any()) else "beyond the numbers of float16"
                raise NotFiniteError(
                    f"features of level {name} are {kind}, first of the image in row {row} of "
                    f"{shard}: the encoder's weights are damaged, or its training diverged"
                )

    def batches(self, label: str) -> Iterator[tuple[list[int], Features]]:
        """Positions and float32 features of all images, in order, with progress lines."""
        progress = Progress(label, len(self), "images")
        for start in range(0, len(self), self.batch):
            images = list(range(start, min(start + self.batch, len(self))))
            yield images, self.features(images)
            progress.reach(images[-1] + 1)


def all_finite(parts: Sequence[Tensor]) -> bool:
    """Whether all numbers of some float16 tensors of one device are finite.

    On a CPU, which has no arithmetic for float16, by the largest of their bits as whole numbers,
    with sign and without. On a GPU by sums, which are finite in float32: one wait for all.
    """
    if all(part.device.type == "cpu" for part in parts):
        bits = [part.numpy() for part in parts if part.numel()]
        return all(
            each.view(np.int16).max() <= LARGEST
            and each.view(np.uint16).max() <= NEGATIVE | LARGEST
            for each in bits
        )
    sums = [part.sum(dtype=torch.float32) for part in parts]
    return bool(torch.stack(sums).isfinite().all())


def _arrays(features: Features) -> list[NDArray[np.float16]]:
    return [part.cpu().numpy() for part in (features.global_, *features.levels)]


def _cast(features: Features, dtype: torch.dtype) -> Features:
    one, two, three, four = (level.to(dtype) for level in features.levels)
    return Features(features.global_.to(dtype), (one, two, three, four))
