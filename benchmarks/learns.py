"""Whether DINOv2 learns within minutes to tell photographs apart, compared with lightly's recipe.

Both train the same ViT from the same initial weights on the same crops for the same processor time,
on patches from the left of each of scikit-image's photographs. Then k nearest neighbours and a
linear probe, trained on these patches, identify the photographs of patches from the right, by the
frozen class token and the mean patch token. Pixels and the initial weights serve as baselines.
Patches have equal mean and contrast, and are rotated and mirrored at random, so that pixels are of
little use.

    PYTHONPATH=/tmp/peers OMP_NUM_THREADS=1 python -m benchmarks.learns    # peers as in pretrain.py
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from benchmarks.pretrain import VitCase, normalised, trainer_of
from benchmarks.tables import markdown
from radscale_lib.pretrain.data import Loaded, Share
from radscale_lib.pretrain.dinov2_data import Dinov2Batches
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.schedules import cosine, linear, warmup_cosine
from radscale_lib.study.paradigms.base import OptimiserConfig
from radscale_lib.study.paradigms.dinov2 import Dinov2

PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "cell", "chelsea", "clock_motion", "coffee", "coins", "grass",
    "gravel", "hubble_deep_field", "ihc", "moon", "motorcycle_left", "page", "retina",
)  # fmt: skip
SHORTER = 400
"""Size to which the shorter side of a photograph is resized, pixels."""
LEFT = 0.6
"""Share of a photograph's width used for training."""
SIDE, TRAINED, TESTED = 40, 300, 100
"""Side of a patch; number of patches per photograph."""
BATCH = 64
RATE = 2e-3
STUDENT = 0.05
"""Temperature: at DINOv2's own, some hundred steps leave assignments uniform."""
DECAYS = 0.04, 0.4
Embed = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PatchCase(VitCase):
    """A small ViT, with LayerScale at 1, as for training from scratch in minutes."""

    width: int = 64
    depth: int = 4
    heads: int = 4
    patch: int = 5
    side: int = SIDE
    local_side: int = 20
    local_crops: int = 2
    hidden: int = 256
    bottleneck: int = 64
    prototypes: int = 512
    drop_path: float = 0.0
    layer_scale: float = 1.0
    mean: float = 0.5
    std: float = 0.2
    batch: int = BATCH

    def recipe_of(self, steps: int) -> Dinov2:
        """DINOv2's losses; for so few steps milder crops, lower temperatures, more masks."""
        optimiser = OptimiserConfig(
            samples=BATCH * steps, batch=BATCH, lr=RATE, weight_decay=DECAYS[0], clip=3.0
        )
        return Dinov2(
            paradigm="dinov2", optimiser=optimiser, local_crops=self.local_crops,
            local_size=self.local_side, global_scale=(0.6, 1.0), local_scale=(0.25, 0.6),
            intensity=0.1, blur=0.0, layer_decay=1.0, weight_decay_end=DECAYS[1],
            student_temperature=STUDENT, teacher_temperature=(0.005, 0.01),
            momentum=(0.9, 1.0), mask_probability=1.0, mask_ratio=(0.2, 0.6),
        )  # fmt: skip


@dataclass(frozen=True)
class Patches:
    """Patches uint8 [N, 40, 40], the photograph of each, and which are from its right."""

    images: NDArray[np.uint8]
    photograph: NDArray[np.int64]
    right: NDArray[np.bool_]


def patches() -> Patches:
    """The patches of all photographs, the same at each call."""
    rng = np.random.default_rng(0)
    folder = Path(skimage.__file__).parent / "data"
    found = []
    for number, name in enumerate(PHOTOGRAPHS):
        photograph = cv2.imread(str(next(folder.glob(f"{name}.*"))), cv2.IMREAD_GRAYSCALE)
        assert photograph is not None
        scale = SHORTER / min(photograph.shape)
        grey = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = grey.shape
        middle = int(LEFT * width)
        for right, first, last, count in (
            (False, 0, middle, TRAINED),
            (True, middle, width, TESTED),
        ):
            for _ in range(count):
                top, left = rng.integers(height - SIDE + 1), rng.integers(first, last - SIDE + 1)
                patch = grey[top : top + SIDE, left : left + SIDE].astype(np.float32)
                patch = np.rot90(patch, rng.integers(4))[:, :: rng.choice([-1, 1])]
                noise = rng.normal(0, 4, patch.shape)
                level = (patch - patch.mean()) / max(patch.std(), 4) * 50 + 128 + noise
                found.append((np.clip(level, 0, 255).astype(np.uint8), number, right))
    images, photograph, held_out = zip(*found, strict=True)
    return Patches(np.stack(images), np.array(photograph), np.array(held_out))


class Source:
    """The films, in the form that batches expect."""

    def __init__(self, films: NDArray[np.uint8]) -> None:
        self._films = films

    def step(self, share: Share, step: int) -> list[Loaded]:
        """The images of a share in a step."""
        rows = share.of_step(step)
        return [Loaded(s.epoch, s.table_row, s.table_row, self._films[s.table_row]) for s in rows]


def batches_of(films: NDArray[np.uint8], recipe: Dinov2) -> Dinov2Batches:
    """Crops and masks, the same for both."""
    source: object = Source(films)
    share = Share(0, BATCH, len(films))
    return Dinov2Batches(source, PatchCase().encoder.image, recipe, share)  # type: ignore[arg-type]


def first_model() -> RadDinoModel:
    """The initial weights."""
    torch.manual_seed(0)
    return RadDinoModel(PatchCase().encoder)


def embedded_by(model: RadDinoModel) -> Embed:
    """Class token and mean patch of films in [0, 1]."""

    def embed(films: Tensor) -> Tensor:
        found = model.image.levels(films)
        return torch.cat([found.global_, found.levels[-1].mean((2, 3))], 1)

    return embed


class Ours:
    """The project's learner and trainer."""

    def __init__(self, films: NDArray[np.uint8], steps: int) -> None:
        recipe = PatchCase().recipe_of(steps)
        self._batches = batches_of(films, recipe)
        self._learner = Dinov2Learner(first_model(), recipe)
        self._trainer = trainer_of(self._learner, recipe.optimiser)

    def step(self, number: int) -> None:
        """One step."""
        self._trainer.progress.step = number
        self._trainer._step(self._batches[number])

    def embed(self) -> Embed:
        """The teacher's features."""
        return embedded_by(self._learner.teacher.eval())


class Lightly:
    """lightly's example, with the same schedules."""

    def __init__(self, films: NDArray[np.uint8], steps: int) -> None:
        import timm

        loss, modules = (import_module(f"lightly.{name}") for name in ("loss", "models.modules"))
        case = PatchCase()
        self._recipe, self._steps = case.recipe_of(steps), steps
        self._batches = batches_of(films, self._recipe)
        first = first_model().state_dict()

        def tower() -> nn.Module:
            vit = timm.create_model(
                "vit_base_patch14_dinov2", pretrained=False, img_size=case.side,
                patch_size=case.patch, embed_dim=case.width, depth=case.depth,
                num_heads=case.heads, init_values=1.0, dynamic_img_size=True, num_classes=0,
            )  # fmt: skip
            given = {n[6:]: x for n, x in first.items() if n.startswith("image.")}
            vit.load_state_dict(given)
            return modules.MaskedVisionTransformerTIMM(
                vit=vit, antialias=False, pos_embed_initialization="skip"
            )

        def head() -> nn.Module:
            sizes = case.width, case.hidden, case.bottleneck, case.prototypes
            made: nn.Module = modules.DINOv2ProjectionHead(*sizes)
            return made

        self._student, self._teacher = tower(), tower().eval().requires_grad_(False)
        self._head, self._teacher_head = head(), head().requires_grad_(False)
        self._teacher_head.load_state_dict(self._head.state_dict())
        sizes = {"output_dim": case.prototypes, "student_temp": STUDENT}
        self._losses = loss.DINOLoss(**sizes), loss.IBOTPatchLoss(**sizes), loss.KoLeoLoss()
        parameters = [*self._student.parameters(), *self._head.parameters()]
        self._parameters = [p for p in parameters if p.requires_grad]
        self._optimiser = torch.optim.AdamW(self._parameters, lr=RATE)

    def step(self, number: int) -> None:
        """One step."""
        update_momentum = import_module("lightly.models.utils").update_momentum
        case, batch, steps = PatchCase(), self._batches[number], self._steps
        dino, ibot, koleo = self._losses
        warmup = round(self._recipe.teacher_warmup * steps)
        temperature = linear(number, warmup, *self._recipe.teacher_temperature)
        wide, local = (normalised(batch[name], case) for name in ("global", "local"))
        patches = batch["mask"]
        mask = torch.cat([patches.new_zeros(len(patches), 1), patches], 1)
        with torch.no_grad():
            tokens = self._teacher.encode(wide)
            targets = self._teacher_head(tokens[:, 0])
            patch_targets = self._teacher_head(tokens[mask])
        tokens = self._student.encode(wide, mask=mask)
        classes, masked = self._head(tokens[:, 0]), self._head(tokens[mask])
        narrow = self._head(self._student.encode(local)[:, 0])
        every = torch.cat([classes, narrow]).chunk(2 + case.local_crops)
        loss = dino(list(targets.chunk(2)), list(every), teacher_temp=temperature)
        grid = case.side // case.patch
        masks = patches.view(-1, grid, grid)
        loss = loss + ibot(patch_targets, masked, masks, teacher_temp=temperature)
        loss = loss + 0.1 * sum(koleo(crop) for crop in tokens[:, 0].chunk(2))
        for group in self._optimiser.param_groups:
            group["lr"] = RATE * warmup_cosine(number, steps, self._recipe.optimiser.warmup)
            group["weight_decay"] = cosine(number, steps, *DECAYS)
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 3.0)
        self._optimiser.step()
        momentum = cosine(number, steps, *self._recipe.momentum)
        update_momentum(self._student, self._teacher, momentum)
        update_momentum(self._head, self._teacher_head, momentum)

    def embed(self) -> Embed:
        """The teacher's features."""

        def embed(films: Tensor) -> Tensor:
            image = PatchCase().encoder.image
            x = ((films - image.mean) / image.std).expand(-1, 3, -1, -1)
            tokens: Tensor = self._teacher.encode(x.contiguous())
            return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)

        return embed


def accuracies(features: NDArray[np.float32], of: Patches) -> tuple[float, float]:
    """Of ten nearest neighbours by cosine, and of a logistic probe, on patches from the right."""
    models = KNeighborsClassifier(10, metric="cosine"), LogisticRegression(C=0.01, max_iter=300)
    first, second = (
        make_pipeline(StandardScaler(), model)
        .fit(features[~of.right], of.photograph[~of.right])
        .score(features[of.right], of.photograph[of.right])
        for model in models
    )
    return float(first), float(second)


def features_of(embed: Embed, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N, D] of films."""
    x = torch.from_numpy(films)[:, None].float() / 255
    with torch.no_grad():
        return torch.cat([embed(part) for part in x.split(256)]).numpy()


def trained(make: Callable[..., Ours | Lightly], of: Patches, seconds: float) -> list[str]:
    """Train for a given processor time; the corresponding number of steps is measured first."""
    films = of.images[~of.right]
    probe = make(films, 1000)
    for number in range(3):
        probe.step(500 + number)
    start = time.process_time()
    for number in range(10):
        probe.step(503 + number)
    steps = max(int(seconds * 10 / (time.process_time() - start)), 10)
    way = make(films, steps)
    for number in range(steps):
        way.step(number)
    near, linear_probe = accuracies(features_of(way.embed(), of.images), of)
    return [str(steps), f"{near:.3f}", f"{linear_probe:.3f}"]


def main(argv: Sequence[str] | None = None) -> None:
    """Train, probe, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4, help="processor time of each training")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    of = patches()
    lines = []
    pixels = of.images.reshape(len(of.images), -1).astype(np.float32) / 255
    random = features_of(embedded_by(first_model().eval()), of.images)
    for name, features in (("pixels", pixels), ("first weights", random)):
        near, probe = accuracies(features, of)
        lines.append([name, "–", f"{near:.3f}", f"{probe:.3f}"])
        print(*lines[-1], sep="\t", flush=True)
    ways: dict[str, Callable[..., Ours | Lightly]] = {"ours": Ours}
    if find_spec("lightly"):
        ways["lightly"] = Lightly
    for name, make in ways.items():
        lines.append([name, *trained(make, of, 60 * args.minutes)])
        print(*lines[-1], sep="\t", flush=True)
    print(markdown(["", "steps", "k-NN", "linear"], lines))


if __name__ == "__main__":
    main()
