"""Attention head: a learnt query for each label over the patch tokens of all levels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from radscale_lib.adamw import AdamW
from radscale_lib.progress import Progress
from radscale_lib.study.heads.attention import CHECKS, Attention
from radscale_lib.tasks.choice import chosen
from radscale_lib.tasks.frozen import FrozenEncoder
from radscale_lib.tasks.grids import Grids
from radscale_lib.tasks.heads.cases import Answer, Cases
from radscale_lib.tasks.images import first
from radscale_lib.tasks.probe import log_loss
from radscale_lib.tasks.training import WARMUP, Least, ahead, batches, task_seed


class AttentionPool(nn.Module):
    """Logits of K labels, each from its own weighted mean over tokens.

    Levels are standardised per channel (batch statistics, no scale or shift) and projected to one
    width, with a learnt offset for each level; all their cells form one set of tokens. A label's
    weights over the tokens are the softmax of their products with its query, and its logit is
    linear in the weighted mean.
    """

    def __init__(self, channels: Sequence[int], width: int, prior: Tensor) -> None:
        """Build the head.

        Args:
            channels: channels of the four levels.
            width: of keys and values.
            prior: [K], share of the training images with each label, which gives the initial
                logits.
        """
        super().__init__()
        self.standardise = nn.ModuleList(nn.BatchNorm1d(c, affine=False) for c in channels)
        self.project = nn.ModuleList(nn.Linear(c, width) for c in channels)
        self.norm = nn.LayerNorm(width)
        self.query = nn.Parameter(torch.randn(len(prior), width))
        self.weight = nn.Parameter(torch.zeros(len(prior), width))
        self.bias = nn.Parameter(torch.logit(prior))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits [B, K] from four levels [B, C, H, W]."""
        tokens = torch.cat(
            [
                project(standardise(level.flatten(2)).transpose(1, 2))
                for level, standardise, project in zip(
                    levels, self.standardise, self.project, strict=True
                )
            ],
            dim=1,
        )
        tokens = self.norm(tokens)
        share = (tokens @ self.query.T / tokens.shape[-1] ** 0.5).softmax(dim=1)
        # Values are weighted before summing, since [B, T, K] is smaller than [B, K, width].
        logits: Tensor = (share * (tokens @ self.weight.T)).sum(dim=1) + self.bias
        return logits


@dataclass
class Candidate:
    """A head in training, and its weights at the lowest validation loss."""

    model: AttentionPool
    optimiser: AdamW
    rate: float
    decay: float
    least: Least = field(default_factory=Least)

    def learn(self, levels: Sequence[Tensor], truth: Tensor, rate: float) -> None:
        """One step; `truth` [B, K] is 1, 0 or NaN (unknown)."""
        known = ~truth.isnan()
        cells = F.binary_cross_entropy_with_logits(
            self.model(levels), truth.nan_to_num(), reduction="none"
        )
        loss = (cells * known).sum() / known.sum().clamp(min=1)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.step()


def predict(section: Attention, cases: Cases) -> Answer:
    """Train the head on the training rows, with choices made on validation.

    Args:
        section: the head's settings.
        cases: images and labels.

    Raises:
        NoCasesError: without validation images.
    """
    study = cases.study
    rows = cases.places()
    used = [
        part[first(rows["image_id"].gather(part).to_list(), limit)]
        for part, limit in (
            (cases.train, section.train_images),
            (cases.validation, section.validation_images),
        )
    ]
    frozen = FrozenEncoder(cases.inputs, rows, study.compute, section.batch)
    truths = [cases.truth[part] for part in used]
    seed = task_seed(study.evaluation.seed, f"{cases.task} attention")
    label = f"{cases.task}: attention features"
    with (
        Grids(frozen.over(rows[used[0]]), label) as train,
        Grids(frozen.over(rows[used[1]]), label) as validation,
    ):
        model, note = fit(section, train, truths[0], validation, truths[1], seed, cases.task)
    label = f"{cases.task}: attention"
    return Answer(
        _logits(model, frozen.over(rows[cases.asked]), label),
        note,
        {
            name: _logits(model, frozen.at(films.inputs, films.places()), f"{label} {name}")
            for name, films in cases.elsewhere.items()
        },
    )


@torch.no_grad()
def _logits(model: AttentionPool, frozen: FrozenEncoder, label: str) -> NDArray[np.float32]:
    """Logits [n, K] of a frozen encoder's images."""
    parts = [model(features.levels).cpu() for _, features in frozen.batches(label)]
    return torch.cat(parts).numpy().astype(np.float32)


def fit(
    section: Attention,
    train: Grids,
    truth: NDArray[np.float32],
    validation: Grids,
    expected: NDArray[np.float32],
    seed: int,
    label: str,
) -> tuple[AttentionPool, str]:
    """The head with the lowest validation loss, summed over labels, in evaluation mode.

    All rates and decays start from the same weights and use the same batches. The rate rises over
    the first tenth of the steps.

    Args:
        section: the head's settings.
        train: grids of N training images.
        truth: [N, K], 1, 0 or NaN (unknown).
        validation: grids of n validation images.
        expected: [n, K], their truth.
        seed: of initial weights and batches.
        label: what to call the work in progress lines.

    Returns:
        The head, and what was chosen.
    """
    device = train.device
    known = (~np.isnan(truth)).sum(axis=0)
    prior = torch.from_numpy((np.nansum(truth, axis=0) + 0.5) / (known + 1)).float()
    tried = []
    for rate, decay in product(section.rates, section.weight_decays):
        torch.manual_seed(seed)
        model = AttentionPool([shape[0] for shape in train.shapes], section.width, prior).to(device)
        group = {"params": list(model.parameters())}
        optimiser = AdamW([group], rate, betas=(0.9, 0.95), weight_decay=decay)
        tried.append(Candidate(model, optimiser, rate, decay))
    targets = torch.from_numpy(truth)
    every = max(1, section.steps // CHECKS)
    warm = max(1.0, WARMUP * section.steps)
    progress = Progress(f"{label}: attention", section.steps, "steps")

    def read(images: Tensor) -> tuple[Tensor, Tensor]:
        return train.read(images), targets[images]

    chosen_images = batches(len(truth), section.batch, section.steps, seed)
    for step, (raw, batch) in enumerate(ahead(chosen_images, read), start=1):
        levels, batch = train.decode(raw), batch.to(device)
        going = [each for each in tried if each.least.waited < section.patience]
        for each in going:
            each.model.train()
            each.learn(levels, batch, each.rate * min(1.0, step / warm))
        if step % every == 0 or step == section.steps:
            models = [each.model for each in going]
            losses = validation_losses(models, validation, expected, section.batch)
            for each, loss in zip(going, losses, strict=True):
                each.least.check(step, loss, each.model)
        if all(each.least.waited >= section.patience for each in tried):
            break
        progress.reach(step)
    best = min(tried, key=lambda each: each.least.loss)
    if best.least.state:
        best.least.restore(best.model)
    notes = [chosen("rate", best.rate, section.rates)]
    if len(section.weight_decays) > 1:
        notes.append(chosen("weight decay", best.decay, section.weight_decays))
    notes.append(chosen("steps", best.least.step, (every, section.steps)))
    return best.model.eval(), "; ".join(notes)


@torch.no_grad()
def validation_losses(
    models: Sequence[AttentionPool], validation: Grids, expected: NDArray[np.float32], batch: int
) -> list[float]:
    """Logistic loss of each model, summed over labels."""
    logits: list[list[NDArray[np.float64]]] = [[] for _ in models]
    for model in models:
        model.eval()
    for start in range(0, len(expected), batch):
        levels = validation(torch.arange(start, min(start + batch, len(expected))))
        for model, found in zip(models, logits, strict=True):
            found.append(model(levels).double().cpu().numpy())
    return [float(np.nansum(log_loss(np.concatenate(found), expected))) for found in logits]
