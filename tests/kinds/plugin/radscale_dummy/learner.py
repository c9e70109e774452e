"""The paradigm's batches and loss."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from radscale_dummy.encoder import MeanEncoder
from radscale_dummy.paradigm import Brightness
from radscale_dummy.tower import MeanTower
from radscale_lib.encoders.prepare import prepare_one
from radscale_lib.pretrain.learner import Batch, Group, Learner, group
from radscale_lib.pretrain.setup import Setup, Trainable, continue_from


class MeanModel(nn.Module):
    def __init__(self, encoder: MeanEncoder) -> None:
        super().__init__()
        self.image = MeanTower(encoder)


class Batches(Dataset[dict[str, Tensor]]):
    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        images = [
            prepare_one(loaded.pixels, self.setup.encoder)
            for loaded in self.setup.source.step(self.setup.share, step)
        ]
        return {"images": torch.from_numpy(np.stack(images)).unsqueeze(1)}


class BrightnessLearner(Learner):
    def __init__(self, model: MeanModel) -> None:
        super().__init__()
        self.model = model

    def passes(self, batch: Batch, count: int, reseed: Callable[[int], None]) -> list[Batch]:
        return [{"images": part} for part in batch["images"].chunk(count)]

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        images = batch["images"].float() / 255
        predicted = self.model.image.levels(images)
        target = images.mean((1, 2, 3))
        means = torch.stack([level.mean((1, 2, 3)) for level in predicted.levels])
        return {"loss": (means - 2 * target).square().mean()}

    def groups(self) -> list[Group]:
        parameters = dict(self.model.named_parameters())
        return group(parameters, dict.fromkeys(parameters, 1.0), set())

    def weight_decay(self, step: int) -> float:
        return 0.0

    def encoder(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())


def build(setup: Setup) -> Trainable:
    model = MeanModel(setup.encoder)
    if setup.base:
        continue_from(setup.base, model)
    return Trainable(BrightnessLearner(model), Batches(setup))


def build_model(encoder: MeanEncoder, recipe: Brightness | None = None) -> MeanModel:
    return MeanModel(encoder)
