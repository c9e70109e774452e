"""The encoder's tower, and how its released weights are read."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_dummy.encoder import MeanEncoder
from radscale_lib.encoders.features import Features, Tower

Load = Callable[[Path], dict[str, Tensor]]


class MeanTower(Tower):
    def __init__(self, encoder: MeanEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.gain = nn.Parameter(torch.ones(4))

    def levels(self, images: Tensor) -> Features:
        one, two, three, four = (
            gain * F.adaptive_avg_pool2d(images, side)
            for gain, side in zip(self.gain, (8, 4, 2, 1), strict=True)
        )
        return Features(four.flatten(1), (one, two, three, four))


def build_tower(section: MeanEncoder) -> MeanTower:
    return MeanTower(section)


def read_release(section: MeanEncoder, path: Path, load: Load) -> dict[str, Tensor]:
    return load(path)
