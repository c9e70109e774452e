"""Supervised training: an image tower and a linear layer learn the study's labels."""

import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.towers import build as build_tower
from radscale_lib.pretrain.data import ImageSource, Share
from radscale_lib.pretrain.learner import Batch, Group, Learner, ema_update, group, layer_scales
from radscale_lib.pretrain.randomness import Purpose, generator
from radscale_lib.pretrain.setup import Setup, Trainable, continue_from
from radscale_lib.pretrain.views import random_view
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.paradigms.supervised import Supervised

MIDDLE = 0.5
"""The grey about which contrast changes: the same for all towers."""
UNDECAYED = ("pos_embed", "position", "embedding", "token", ".cpe")
"""Parts of the names of embeddings and depthwise convolutions, which, like vectors, do not
decay."""


class LabelModel(nn.Module):
    """An image tower and a linear layer on its global embedding."""

    def __init__(self, encoder: EncoderSection, labels: int) -> None:
        """Draw weights; the linear layer starts at 0, i.e. with probability ½ for every label."""
        super().__init__()
        self.image = build_tower(encoder)
        side = encoder.image_size
        with torch.no_grad():
            width = self.image.eval()(torch.zeros(1, 1, side, side)).shape[1]
        self.classifier = nn.Linear(width, labels)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Log odds [B, L] of the labels of grey images, float32 [B, 1, S, S] in [0, 1]."""
        odds: Tensor = self.classifier(self.image(images))
        return odds


class LabelBatches(Dataset[Batch]):
    """Item `step` has `images` uint8 [B, 1, S, S] and `targets` float32 [B, L].

    Targets are 1, 0, or NaN if unknown.
    """

    def __init__(
        self,
        source: ImageSource,
        targets: NDArray[np.float32],
        side: int,
        recipe: Supervised,
        share: Share,
    ) -> None:
        """Pair the images of `source` with their rows of `targets` [N, L]."""
        self._source = source
        self._targets = targets
        self._side = side
        self._recipe = recipe
        self._share = share

    def __getitem__(self, step: int) -> Batch:
        views, rows = [], []
        for loaded in self._source.step(self._share, step):
            rng = generator(self._share.seed, Purpose.AUGMENT, loaded.epoch, loaded.key)
            views.append(random_view(rng, loaded.pixels, self._side, self._recipe, MIDDLE))
            rows.append(loaded.table_row)
        return {
            "images": torch.from_numpy(np.stack(views)).unsqueeze(1),
            "targets": torch.from_numpy(self._targets[rows]),
        }


class SupervisedLearner(Learner):
    """Trains a `LabelModel`; an exponential moving average of all weights is kept."""

    def __init__(self, model: LabelModel, recipe: Supervised, known: float) -> None:
        """Continue `model`; `known` is the share of targets that are known."""
        super().__init__()
        self.recipe = recipe
        self.known = known
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)

    def passes(self, batch: Batch, count: int, reseed: Callable[[int], None]) -> list[Batch]:
        """Cut the share into stretches."""
        cut = zip(batch["images"].chunk(count), batch["targets"].chunk(count), strict=True)
        return [{"images": images, "targets": targets} for images, targets in cut]

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Binary cross-entropy over the known targets, as `loss`.

        It is divided by the mean number of known targets in a batch: every known target of the run
        has the same weight, whatever else is known in its batch, and shares of a batch add up.
        """
        targets = batch["targets"]
        known = ~targets.isnan()
        embeddings = self.model.image(batch["images"].float() / 255)
        self.note(embeddings)
        odds = self.model.classifier(embeddings).float()
        losses = F.binary_cross_entropy_with_logits(odds, targets.nan_to_num(), reduction="none")
        return {"loss": (losses * known).sum() / (self.known * targets.numel())}

    @property
    def kept_tower(self) -> nn.Module:
        """The average's tower."""
        return self.average.image

    def groups(self) -> list[Group]:
        """Layer-wise rates; vectors, embeddings and depthwise convolutions do not decay."""
        parameters = dict(self.model.named_parameters())
        undecayed = {name for name in parameters if any(part in name for part in UNDECAYED)}
        tower = [name for name in parameters if name.startswith("image.")]
        scales = dict.fromkeys(parameters, 1.0) | layer_scales(tower, self.recipe.layer_decay)
        return group(parameters, scales, undecayed)

    def weight_decay(self, step: int) -> float:
        """Constant."""
        return self.recipe.optimiser.weight_decay

    def after_update(self, step: int) -> None:
        """Update the average."""
        ema_update(self.average, self.model, self.recipe.ema)

    def encoder(self) -> dict[str, Tensor]:
        """The average of all weights."""
        return dict(self.average.state_dict())


def build(setup: Setup) -> Trainable:
    """Build supervised training; a base gives its image tower, and its linear layer if it fits.

    Raises:
        PretrainError: if the base's tower does not fit the architecture.
    """
    recipe = setup.section.recipe
    assert isinstance(recipe, Supervised)
    targets = setup.rows.targets
    known = float(np.mean(~np.isnan(targets)))
    model = LabelModel(setup.encoder, targets.shape[1])
    if setup.base:
        continue_from(_tower(setup.base, model), model)
    batches = LabelBatches(setup.source, targets, setup.encoder.image_size, recipe, setup.share)
    return Trainable(SupervisedLearner(model, recipe, known), batches)


def build_model(encoder: EncoderSection, recipe: Supervised | None = None) -> nn.Module:
    """The model that a recipe trains, with one label; without a recipe, an image tower only."""
    return LabelModel(encoder, 1) if recipe else nn.ModuleDict({"image": build_tower(encoder)})


def _tower(base: EncoderFile, model: LabelModel) -> EncoderFile:
    """The tower of a base and its linear layer, or the model's if that does not fit."""
    if not base.tensors:
        return base
    kept = {name: tensor for name, tensor in base.tensors.items() if name.startswith("image.")}
    for name, tensor in model.state_dict(prefix="").items():
        if name.startswith("classifier."):
            given = base.tensors.get(name)
            kept[name] = given if given is not None and given.shape == tensor.shape else tensor
    return EncoderFile(base.encoder, kept)
