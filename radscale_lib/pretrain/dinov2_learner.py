"""RAD-DINO: self-distillation from a teacher that averages the student (arXiv 2304.07193)."""

import copy
from collections.abc import Callable
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from radscale_lib.encoders.vit import VitTower
from radscale_lib.pretrain.dinov2_data import GLOBAL_CROPS
from radscale_lib.pretrain.head import DinoHead
from radscale_lib.pretrain.learner import Batch, Group, Learner, ema_update, group, layer_scales
from radscale_lib.pretrain.losses.centre import Centre
from radscale_lib.pretrain.losses.dino import dino_loss
from radscale_lib.pretrain.losses.ibot import ibot_loss
from radscale_lib.pretrain.losses.koleo import koleo_loss
from radscale_lib.pretrain.losses.prototypes import Assignments, sinkhorn
from radscale_lib.pretrain.schedules import cosine, linear
from radscale_lib.pretrain.watch import entropy
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.paradigms.dinov2 import Dinov2

PATCH_EMBED_LR = 0.2


class Projected(NamedTuple):
    """Tokens [B, bottleneck] and prototypes [K, bottleneck]; their products are logits [B, K]."""

    tokens: Tensor
    prototypes: Tensor


class RadDinoModel(nn.Module):
    """Tower, projection head and mask token; parameters are named as in `encoder.safetensors`."""

    def __init__(self, encoder: RadDino, separate_ibot_head: bool = False) -> None:
        super().__init__()
        self.image = VitTower(encoder)
        self.head = DinoHead(self.image.width, encoder.head)
        self.ibot_head = DinoHead(self.image.width, encoder.head) if separate_ibot_head else None
        self.mask_token = nn.Parameter(torch.zeros(1, self.image.width))

    def heads(self) -> list[DinoHead]:
        """The heads: one for both class tokens and masked patches, or one for each."""
        return [self.head, self.ibot_head] if self.ibot_head else [self.head]

    def projected(self, classes: Tensor, patches: Tensor) -> tuple[Projected, Projected]:
        """Project class tokens [B, D] and patches [M, D], each with its head's prototypes."""
        prototypes = self.head.prototypes()
        if self.ibot_head:
            of_patches = Projected(self.ibot_head(patches), self.ibot_head.prototypes())
            return Projected(self.head(classes), prototypes), of_patches
        tokens = self.head(torch.cat([classes, patches]))
        parts = tokens.split([len(classes), len(patches)])
        first, second = (Projected(part, prototypes) for part in parts)
        return first, second


class Dinov2Learner(Learner):
    """Trains a `RadDinoModel` as student; its moving average, the teacher, is kept.

    The loss is the sum of DINO on class tokens, iBOT on masked patches through the same head, and
    KoLeo on the student's class tokens of the global crops.
    """

    def __init__(self, model: RadDinoModel, recipe: Dinov2) -> None:
        """Continue `model`, as student and as teacher."""
        super().__init__()
        self.recipe = recipe
        self.steps = recipe.optimiser.steps
        self.student = model
        self.teacher = copy.deepcopy(model).requires_grad_(False)
        prototypes, momentum = len(model.head.last_layer.weight_g), recipe.centre_momentum
        centred = ("classes", "patches") if recipe.centring == "softmax" else ()
        self.centres = nn.ModuleDict({name: Centre(prototypes, momentum) for name in centred})

    def train(self, mode: bool = True) -> Self:
        """Set the student's mode; the teacher has no stochastic depth."""
        super().train(mode)
        self.teacher.eval()
        return self

    def passes(self, batch: Batch, count: int, reseed: Callable[[int], None]) -> list[Batch]:
        """Cut every crop's images into `count` stretches."""
        for centre in self._centres():
            centre.forget()
        images = len(batch["mask"]) // GLOBAL_CROPS
        cut: list[Batch] = [{} for _ in range(count)]
        for name, crops in batch.items():
            by_crop = crops.view(-1, images, *crops.shape[1:])
            for part, piece in zip(cut, by_crop.chunk(count, dim=1), strict=True):
                part[name] = piece.flatten(0, 1)
        return cut

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Losses of a share of a pass: `loss`, `dino`, `ibot`, `koleo`.

        On logged steps also `teacher_entropy`, of the class tokens' assignments, and `kl`, the
        student's divergence from the teacher, both in nats.
        """
        recipe, mask = self.recipe, batch["mask"]
        wide = batch["global"].float() / 255
        patches = mask.flatten().nonzero().squeeze(1)
        images = len(wide) // GLOBAL_CROPS
        targets, patch_targets = self._targets(wide, patches, step)

        cls, masked = self.student.image.tokens(wide, mask, self.student.mask_token, patches)
        classes = [cls]
        if "local" in batch:
            classes.append(self.student.image.tokens(batch["local"].float() / 255)[0])
        student, student_patches = self.student.projected(torch.cat(classes), masked)
        per_crop = mask.sum(dim=1)
        weights = 1 / per_crop.clamp(min=1).repeat_interleave(per_crop) / len(mask)

        temperature = recipe.student_temperature
        losses = {
            "dino": dino_loss(
                student.tokens.view(-1, images, student.tokens.shape[1]),
                student.prototypes,
                targets.view(GLOBAL_CROPS, images, targets.shape[1]),
                temperature,
            ),
            "ibot": ibot_loss(*student_patches, patch_targets, weights, temperature),
            "koleo": torch.stack([koleo_loss(crop) for crop in cls.chunk(GLOBAL_CROPS)]).sum(),
        }
        total = (
            losses["dino"]
            + recipe.ibot_weight * losses["ibot"]
            + recipe.koleo_weight * losses["koleo"]
        )
        if self.watching:
            losses["teacher_entropy"] = entropy(targets)
            # The loss is a mean of cross-entropies, each of which includes the teacher's entropy.
            losses["kl"] = losses["dino"].detach() - losses["teacher_entropy"]
        return {"loss": total, **losses}

    @property
    def kept_tower(self) -> nn.Module:
        """The teacher's tower."""
        return self.teacher.image

    @torch.no_grad()
    def _targets(self, wide: Tensor, patches: Tensor, step: int) -> tuple[Tensor, Assignments]:
        """The teacher's assignments of unmasked class tokens [2 B, K] and patches [M, K]."""
        warmup = round(self.recipe.teacher_warmup * self.steps)
        temperature = linear(step, warmup, *self.recipe.teacher_temperature)
        cls, tokens = self.teacher.image.tokens(wide, patches=patches)
        self.note(cls)
        balances: list[Callable[[Tensor, Tensor, float], Assignments]] = [sinkhorn, sinkhorn]
        if self.recipe.centring == "softmax":
            balances = [*self._centres()]
        classes, found = (
            balance(*projected, temperature)
            for balance, projected in zip(
                balances, self.teacher.projected(cls, tokens), strict=True
            )
        )
        return classes.whole(), found

    def _centres(self) -> list[Centre]:
        return [cast(Centre, centre) for centre in self.centres.values()]

    def groups(self) -> list[Group]:
        """Group parameters: layer-wise learning rates; vectors and embeddings do not decay."""
        parameters = dict(self.student.named_parameters())
        undecayed = {"image.pos_embed", "image.cls_token", "mask_token"}
        return group(parameters, self.lr_scales(), undecayed)

    def lr_scales(self) -> dict[str, float]:
        """Learning-rate factor of each weight, decaying from the final norm and the head down."""
        names = [name for name, _ in self.student.named_parameters()]
        tower = [name for name in names if name.startswith(("mask_token", "image."))]
        scales = dict.fromkeys(names, 1.0) | layer_scales(tower, self.recipe.layer_decay)
        return {
            name: scale * PATCH_EMBED_LR if "patch_embed" in name else scale
            for name, scale in scales.items()
        }

    def weight_decay(self, step: int) -> float:
        """Weight decay of a step, from the first to the last value along a cosine."""
        first = self.recipe.optimiser.weight_decay
        last = self.recipe.weight_decay_end
        return first if last is None else cosine(step, self.steps, first, last)

    def before_update(self, step: int) -> None:
        """Freeze the prototypes at the start, and the tower while heads warm up."""
        still: list[nn.Parameter] = []
        if step < round(self.recipe.freeze_last_layer * self.steps):
            still += [p for head in self.student.heads() for p in head.last_layer.parameters()]
        if step < round(self.recipe.head_warmup * self.steps):
            still += [*self.student.image.parameters(), self.student.mask_token]
        for parameter in still:
            parameter.grad = None

    def after_update(self, step: int) -> None:
        """Update the teacher and the centres."""
        for centre in self._centres():
            centre.update()
        ema_update(self.teacher, self.student, cosine(step, self.steps, *self.recipe.momentum))

    def encoder(self) -> dict[str, Tensor]:
        """The teacher's weights."""
        return dict(self.teacher.state_dict())
