"""MI2: image-text contrastive training."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_lib.encoders.davit import DavitTower
from radscale_lib.encoders.text import TextTokenizer, TextTower
from radscale_lib.pretrain.distributed import average, gather
from radscale_lib.pretrain.learner import Batch, Group, Learner, ema_update, group, layer_scales
from radscale_lib.pretrain.losses.pairs import Pairs, compare
from radscale_lib.pretrain.losses.siglip import siglip_loss
from radscale_lib.pretrain.losses.unicl import unicl_loss
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.paradigms.unicl import Unicl

LOG_SCALE = math.log(1 / 0.07)
LOG_SCALE_LIMIT = math.log(100)
"""Initial value and limit of the log inverse temperature (CLIP, arXiv 2103.00020)."""
SIGLIP_LOG_SCALE = math.log(10)
SIGLIP_BIAS = -10.0
"""Initial values of it and of the bias with SigLIP's loss (arXiv 2303.15343, section 3.2)."""


class Mi2Model(nn.Module):
    """Both towers and the shared space; parameters are named as in `encoder.safetensors`."""

    def __init__(
        self, encoder: Mi2, tokenizer: TextTokenizer, loss: Literal["unicl", "siglip"] = "unicl"
    ) -> None:
        """Draw weights; SigLIP's loss has one more, `logit_bias`."""
        super().__init__()
        self.image = DavitTower(encoder)
        self.text = TextTower(encoder, tokenizer.size, tokenizer.end)
        self.projection = nn.ParameterDict({
            "image": _projection(self.image.width, encoder.projection),
            "text": _projection(encoder.text.width, encoder.projection),
        })  # fmt: skip
        for name, start in first_logits(loss).items():
            self.register_parameter(name, nn.Parameter(start))

    def logits(self) -> list[Tensor]:
        """What turns similarities into logits: the logarithm of the scale, and a bias if any."""
        named = dict(self.named_parameters(recurse=False))
        return [named[name] for name in ("logit_scale", "logit_bias") if name in named]

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, P] of images, float32 [B, 1, S, S] in [0, 1], and texts, int64 [B, L]."""
        u = self.image(images) @ self.projection["image"]
        return u, self.text(tokens) @ self.projection["text"]


def first_logits(loss: Literal["unicl", "siglip"]) -> dict[str, Tensor]:
    """Initial logit parameters of a loss: the log inverse temperature, and SigLIP's bias."""
    if loss == "unicl":
        return {"logit_scale": torch.tensor(LOG_SCALE)}
    starts = {"logit_scale": SIGLIP_LOG_SCALE, "logit_bias": SIGLIP_BIAS}
    return {name: torch.tensor(start) for name, start in starts.items()}


def _projection(width: int, dimension: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(width, dimension), std=width**-0.5))


class UniclLearner(Learner):
    """Trains an `Mi2Model`; an exponential moving average of all weights is kept."""

    described: ClassVar[tuple[str, ...]] = (
        *("label_samples", "cut_texts", "cut_tokens", "positives", "undecided"),
        *("same_text_before", "same_text"),
    )

    def __init__(self, model: Mi2Model, recipe: Unicl) -> None:
        """Continue `model`."""
        super().__init__()
        self.recipe = recipe
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)

    def passes(self, batch: Batch, count: int, reseed: Callable[[int], None]) -> list[Batch]:
        """Cut the share; the loss still compares the whole global batch (arXiv 2101.06983).

        All embeddings are first computed without activations for gradients; from them come the loss
        and its gradient with respect to each embedding. `forward` then repeats each pass, with the
        same stochastic depth, and propagates the gradients of its embeddings.
        """
        if count == 1:
            return [batch]
        cut: list[Batch] = [{} for _ in range(count)]
        for name, values in batch.items():
            for part, piece in zip(cut, values.chunk(count), strict=True):
                part[name] = piece
        embeddings = []
        with torch.no_grad():
            for number, part in enumerate(cut):
                reseed(number)
                embeddings.append(self._embed(part))
        u, v = (torch.cat(sides).requires_grad_() for sides in zip(*embeddings, strict=True))
        logits = [x.detach().clone().requires_grad_() for x in self.model.logits()]
        loss = self._loss(u, v, logits, batch)
        gradients = torch.autograd.grad(loss, (u, v, *logits))
        for number, part in enumerate(cut):
            part["loss"] = loss.detach()
            # Times the number of passes, since passes are averaged.
            part["u"], part["v"] = (count * side.chunk(count)[number] for side in gradients[:2])
            part["logits"] = torch.stack(gradients[2:])
        return cut

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """The contrastive loss of a share of the global batch, as `loss`."""
        u, v = self._embed(batch)
        logits = self.model.logits()
        if "loss" not in batch:
            return {"loss": self._loss(u, v, logits, batch)}
        followed = (u * batch["u"]).sum() + (v * batch["v"]).sum()
        followed = followed + (torch.stack(logits) * batch["logits"]).sum()
        # Its value is the step's loss; averaged over passes, so is its gradient.
        return {"loss": batch["loss"] + followed - followed.detach()}

    def _loss(self, u: Tensor, v: Tensor, logits: Sequence[Tensor], batch: Batch) -> Tensor:
        pairs = compare(batch, self.recipe.near_duplicates)
        self.note(u)
        if self.watching:
            self._retrieval = _retrieval(u, v, pairs)
        if self.recipe.loss == "siglip":
            return siglip_loss(u, v, logits[0], logits[1], pairs)
        return unicl_loss(u, v, logits[0], pairs)

    def watch(self) -> dict[str, Tensor]:
        """The `rank` of image embeddings, the `temperature`, and `retrieval`.

        `retrieval` is the share of the global batch's images whose nearest text is a positive.
        """
        temperature = (-self.model.logits()[0].detach()).exp()
        found = average(self._retrieval)
        return super().watch() | {"temperature": temperature, "retrieval": found}

    @property
    def kept_tower(self) -> nn.Module:
        """The average's tower."""
        return self.average.image

    @torch.no_grad()
    def describe(self, batch: Batch) -> dict[str, Tensor]:
        """Shares of the global batch that describe the supervision by its texts.

        `label_samples`; texts and tokens that were cut; per row `positives` (itself included) and
        the share of pairs that are `undecided`; rows with a negative of the same words
        (`same_text`), and the same if reports were compared by study alone (`same_text_before`).
        """
        pairs = compare(batch, self.recipe.near_duplicates)
        by_labels, tokens, cut = (
            batch[name] for name in ("by_labels", "section_tokens", "left_out_tokens")
        )
        same = batch["said"][:, None] == gather(batch["said"])
        reports = ~(by_labels[:, None] | gather(by_labels))
        of_others = same & reports & (batch["study"][:, None] != gather(batch["study"]))
        means = {
            "label_samples": by_labels,
            "cut_texts": cut > 0,
            "cut_tokens": cut,
            "positives": pairs.positive.sum(dim=1),
            "undecided": ~(pairs.positive | pairs.negative),
            "same_text_before": of_others.any(dim=1),
            "same_text": (same & pairs.negative).any(dim=1),
        }
        found = {name: average(values.float().mean()) for name, values in means.items()}
        return found | {"cut_tokens": found["cut_tokens"] / average(tokens.float().mean())}

    def _embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        u, v = self.model(batch["images"].float() / 255, batch["tokens"])
        return u.float(), v.float()

    def groups(self) -> list[Group]:
        """Layer-wise rates; vectors, embeddings and depthwise convolutions do not decay."""
        parameters = dict(self.model.named_parameters())
        undecayed = {name for name in parameters if "embedding" in name or ".cpe" in name}
        scales = dict.fromkeys(parameters, 1.0)
        for tower in ("image.", "text."):
            names = [name for name in parameters if name.startswith(tower)]
            scales |= layer_scales(names, self.recipe.layer_decay)
        return group(parameters, scales, undecayed)

    def weight_decay(self, step: int) -> float:
        """Constant."""
        return self.recipe.optimiser.weight_decay

    def after_update(self, step: int) -> None:
        """Limit the temperature and update the average."""
        with torch.no_grad():
            self.model.logits()[0].clamp_(max=LOG_SCALE_LIMIT)
        ema_update(self.average, self.model, self.recipe.ema)

    def encoder(self) -> dict[str, Tensor]:
        """The average of all weights."""
        return dict(self.average.state_dict())


@torch.no_grad()
def _retrieval(u: Tensor, v: Tensor, pairs: Pairs) -> Tensor:
    """Share of this process's images [B, D] whose nearest text overall is a positive."""
    nearest = (u.float() @ gather(F.normalize(v.float(), dim=1)).T).argmax(dim=1, keepdim=True)
    return pairs.positive.gather(1, nearest).float().mean()
