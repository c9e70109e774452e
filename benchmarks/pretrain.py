"""Compare a training step, and the loader that feeds it, with peers, interleaved in one run.

DINOv2 against the public code (a checkout of github.com/facebookresearch/dinov2, whose CUDA calls
are redirected to the CPU) and lightly's example; UniCL, with its average of the weights, against
open_clip's own training loop, which has none. Sizes, batches and drop path are the same; processor
time of one thread. Missing peers are skipped and named.

    pip install --no-deps --target /tmp/peers lightly lightly-utils pytorch-lightning \
        lightning-utilities torchmetrics aenum hydra-core omegaconf
    git clone https://github.com/facebookresearch/dinov2 /tmp/dinov2
    PYTHONPATH=/tmp/peers python -m benchmarks.pretrain --dinov2 /tmp/dinov2 --write
"""

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import yaml
from torch import Tensor, nn

from benchmarks.tables import machine, markdown, write_between_marks
from radscale_lib.encoders.text import load_tokenizer
from radscale_lib.pretrain.data import Loaded, Share
from radscale_lib.pretrain.dinov2_data import Dinov2Batches
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.distributed import World
from radscale_lib.pretrain.learner import Batch, Learner
from radscale_lib.pretrain.trainer import Trainer
from radscale_lib.pretrain.unicl_learner import Mi2Model, UniclLearner
from radscale_lib.study.compute import Compute
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import Head, RadDino, Vit
from radscale_lib.study.paradigms.base import OptimiserConfig
from radscale_lib.study.paradigms.dinov2 import Dinov2
from radscale_lib.study.paradigms.unicl import Unicl

ROOT = Path(__file__).resolve().parents[1]
STEPS = 10_000
"""Number of steps of the schedules; steps are measured in the middle."""
MOMENTUM = 0.996
TEMPERATURE = 0.07

Step = Callable[[], object]


@dataclass(frozen=True)
class VitCase:
    """Sizes of a DINOv2 step."""

    width: int = 192
    depth: int = 6
    heads: int = 3
    patch: int = 14
    side: int = 112
    local_side: int = 56
    local_crops: int = 8
    hidden: int = 512
    bottleneck: int = 128
    prototypes: int = 4096
    drop_path: float = 0.3
    layer_scale: float = 1e-5
    mean: float = 0.5307
    std: float = 0.2583
    batch: int = 32

    @property
    def encoder(self) -> RadDino:
        """The same as a study's section."""
        image = Vit(
            image_size=self.side, patch=self.patch, width=self.width, depth=self.depth,
            heads=self.heads, drop_path=self.drop_path, layer_scale=self.layer_scale,
            mean=self.mean, std=self.std,
        )  # fmt: skip
        head = Head(hidden=self.hidden, bottleneck=self.bottleneck, prototypes=self.prototypes)
        return RadDino(kind="rad-dino", image=image, head=head)

    @property
    def recipe(self) -> Dinov2:
        """Ours, with the reference's clipping and decays."""
        optimiser = OptimiserConfig(
            samples=STEPS * self.batch, batch=self.batch, lr=1e-4, clip=3.0, clip_each=True
        )
        return Dinov2(
            paradigm="dinov2", optimiser=optimiser, local_crops=self.local_crops,
            local_size=self.local_side,
        )  # fmt: skip


class Films:
    """Grey films of noise, as a source of batches."""

    def __init__(self, side: int) -> None:
        rng = np.random.default_rng(0)
        self._films = [rng.integers(0, 256, (side, side), dtype=np.uint8) for _ in range(64)]

    def step(self, share: Share, step: int) -> list[Loaded]:
        """The images of a share in a step."""
        return [
            Loaded(each.epoch, each.table_row, each.table_row, self._films[each.table_row])
            for each in share.of_step(step)
        ]


def trainer_of(learner: Learner, optimiser: OptimiserConfig) -> Trainer:
    """A trainer in the middle of a run, without data."""
    trainer = Trainer(
        learner, [], optimiser, Compute(), World(0, 1, torch.device("cpu")), 0,  # type: ignore[arg-type]
        Path(tempfile.mkdtemp()),
    )  # fmt: skip
    trainer.progress.step = STEPS // 2
    return trainer


def dinov2_batches(case: VitCase) -> Dinov2Batches:
    """Batches of noise."""
    share = Share(0, case.batch, 64)
    source: Any = Films(int(case.side * 1.15))
    return Dinov2Batches(source, case.encoder.image, case.recipe, share)


def dinov2_ours(case: VitCase, batch: Batch) -> Step:
    """The project's own step."""
    torch.manual_seed(0)
    learner = Dinov2Learner(RadDinoModel(case.encoder), case.recipe)
    trainer = trainer_of(learner, case.recipe.optimiser)
    return lambda: trainer._step(batch)


def normalised(crops: Tensor, case: VitCase) -> Tensor:
    """Crops uint8 [B, 1, S, S] in the peers' form, float32 [B, 3, S, S]."""
    image = case.encoder.image
    return ((crops.float() / 255 - image.mean) / image.std).expand(-1, 3, -1, -1).contiguous()


def dinov2_reference(case: VitCase, batch: Batch, checkout: Path) -> Step:
    """The public code's `SSLMetaArch`, a forward for each crop size, with its own groups."""
    vit, arch, config = _reference_modules(checkout)
    config.compute_precision.grad_scaler = False
    config.dino.update(
        head_n_prototypes=case.prototypes, head_bottleneck_dim=case.bottleneck,
        head_hidden_dim=case.hidden,
    )  # fmt: skip
    config.ibot.update(head_n_prototypes=case.prototypes)
    config.student.update(
        arch="vit_small", patch_size=case.patch, drop_path_rate=case.drop_path, block_chunks=0
    )
    config.crops.update(
        global_crops_size=case.side, local_crops_size=case.local_side,
        local_crops_number=case.local_crops,
    )  # fmt: skip

    def small(patch_size: int = 14, num_register_tokens: int = 0, **options: Any) -> Any:
        return vit.DinoVisionTransformer(
            patch_size=patch_size, embed_dim=case.width, depth=case.depth, num_heads=case.heads,
            mlp_ratio=4, num_register_tokens=num_register_tokens, **options,
        )  # fmt: skip

    vit.vit_small = small
    torch.manual_seed(0)
    model = arch.SSLMetaArch(config)
    model.fsdp_synchronize_streams = lambda: None
    for name in model.student:
        model.teacher[name].load_state_dict(model.student[name].state_dict())
    backbone = model.student["backbone"]
    features = type(backbone).forward_features

    def one_by_one(x: Any, masks: Any = None) -> Any:
        if not isinstance(x, list):
            return features(backbone, x, masks)
        return [features(backbone, *pair) for pair in zip(x, masks, strict=True)]

    backbone.forward_features = one_by_one
    model.train()
    optimiser = torch.optim.AdamW([dict(g) for g in model.get_params_groups()], lr=1e-4)
    pairs = list(model.student.parameters()), list(model.teacher.parameters())
    mask = batch["mask"]
    indices = mask.flatten().nonzero().flatten()
    weights = (1 / mask.sum(-1).clamp(min=1.0)).unsqueeze(-1).expand_as(mask)[mask]
    data = {
        "collated_global_crops": normalised(batch["global"], case),
        "collated_local_crops": normalised(batch["local"], case),
        "collated_masks": mask,
        "mask_indices_list": indices,
        "masks_weight": weights,
        "upperbound": len(indices),
        "n_masked_patches": torch.full((1,), len(indices), dtype=torch.long),
    }

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        model.forward_backward(data, teacher_temp=TEMPERATURE)
        for part in model.student.values():
            nn.utils.clip_grad_norm_(part.parameters(), 3.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_mul_(pairs[1], MOMENTUM)
            torch._foreach_add_(pairs[1], pairs[0], alpha=1 - MOMENTUM)

    return step


def _reference_modules(checkout: Path) -> tuple[Any, Any, Any]:
    """Its models, its training step and its default configuration, without CUDA and xformers."""
    os.environ["XFORMERS_DISABLED"] = "1"

    class BlockDiagonalMask:
        """Joins and splits the head's inputs."""

        def __init__(self, lengths: list[int]) -> None:
            self.lengths = lengths

        @classmethod
        def from_tensor_list(cls, parts: list[Tensor]) -> tuple[Any, Tensor]:
            return cls([part.shape[1] for part in parts]), torch.cat(parts, 1)

        def split(self, joined: Tensor) -> list[Tensor]:
            return list(joined.split(self.lengths, 1))

    operations: Any = types.ModuleType("xformers.ops")
    operations.fmha = types.SimpleNamespace(BlockDiagonalMask=BlockDiagonalMask)
    fsdp: Any = types.ModuleType("dinov2.fsdp")
    for name in ("get_fsdp_wrapper", "ShardedGradScaler", "get_fsdp_modules"):
        setattr(fsdp, name, None)
    fsdp.reshard_fsdp_model = lambda model: None
    train: Any = types.ModuleType("dinov2.train")
    train.__path__ = [str(checkout / "dinov2/train")]
    sys.modules |= {
        "xformers": types.ModuleType("xformers"), "xformers.ops": operations,
        "dinov2.fsdp": fsdp, "dinov2.train": train,
    }  # fmt: skip
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    torch.cuda.amp.autocast = lambda enabled=False: torch.autocast("cpu", enabled=enabled)  # type: ignore[misc,assignment]
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    sys.path.insert(0, str(checkout))
    vit = import_module("dinov2.models.vision_transformer")
    arch = import_module("dinov2.train.ssl_meta_arch")

    class Node(dict[str, Any]):
        __getattr__ = dict.get

    def node(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        made = Node({key: node(each) for key, each in value.items()})
        made.__dict__ = made
        return made

    text = (checkout / "dinov2/configs/ssl_default_config.yaml").read_text()
    return vit, arch, node(yaml.safe_load(text))


def dinov2_lightly(case: VitCase, batch: Batch) -> Step:
    """The example of lightly: timm's ViT with lightly's losses and head."""
    import timm

    losses, modules = (import_module(f"lightly.{name}") for name in ("loss", "models.modules"))
    update_momentum = import_module("lightly.models.utils").update_momentum
    torch.manual_seed(0)
    vit = timm.create_model(
        "vit_base_patch14_dinov2", pretrained=False, img_size=case.side, patch_size=case.patch,
        embed_dim=case.width, depth=case.depth, num_heads=case.heads, init_values=1e-5,
        dynamic_img_size=True, num_classes=0, drop_path_rate=case.drop_path,
    )  # fmt: skip
    student = modules.MaskedVisionTransformerTIMM(
        vit=vit, antialias=False, pos_embed_initialization="skip"
    )
    teacher = copy.deepcopy(student).eval().requires_grad_(False)
    sizes = case.width, case.hidden, case.bottleneck, case.prototypes
    head, teacher_head = (modules.DINOv2ProjectionHead(*sizes) for _ in range(2))
    teacher_head.load_state_dict(head.state_dict())
    teacher_head.requires_grad_(False)
    dino, ibot = losses.DINOLoss(case.prototypes), losses.IBOTPatchLoss(case.prototypes)
    koleo = losses.KoLeoLoss()
    parameters = [p for p in [*student.parameters(), *head.parameters()] if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-4)
    wide, local = normalised(batch["global"], case), normalised(batch["local"], case)
    patches, crops = batch["mask"], 2 + case.local_crops
    mask = torch.cat([patches.new_zeros(len(patches), 1), patches], 1)
    grid = case.side // case.patch

    def step() -> None:
        with torch.no_grad():
            tokens = teacher.encode(wide)
            targets, patch_targets = teacher_head(tokens[:, 0]), teacher_head(tokens[mask])
        tokens = student.encode(wide, mask=mask)
        classes, masked = head(tokens[:, 0]), head(tokens[mask])
        narrow = head(student.encode(local)[:, 0])
        every = torch.cat([classes, narrow]).chunk(crops)
        loss = dino(list(targets.chunk(2)), list(every), teacher_temp=TEMPERATURE)
        masks = patches.view(-1, grid, grid)
        loss = loss + ibot(patch_targets, masked, masks, teacher_temp=TEMPERATURE)
        loss = loss + 0.1 * sum(koleo(crop) for crop in tokens[:, 0].chunk(2))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 3.0)
        optimiser.step()
        optimiser.zero_grad()
        update_momentum(student, teacher, MOMENTUM)
        update_momentum(head, teacher_head, MOMENTUM)

    return step


SHORT = (
    "Heart size is normal. Small right pleural effusion with adjacent atelectasis, stable since "
    "the prior study. Tip of the endotracheal tube {} cm above the carina."
)
LONG = (
    "Heart size is normal. Small right pleural effusion with adjacent atelectasis, stable since "
    "the prior study. The mediastinal contours are unremarkable. No pneumothorax is seen. "
    "Degenerative changes of the thoracic spine are noted. Median sternotomy wires are intact. "
    "Lung volumes are low with bibasilar opacities likely reflecting atelectasis, although "
    "infection cannot be excluded in the appropriate clinical setting. Tube {} cm above."
)


@dataclass(frozen=True)
class PairCase:
    """Sizes of a UniCL step."""

    side: int = 64
    text: str = SHORT
    batch: int = 32
    dims: tuple[int, int, int, int] = (32, 64, 128, 256)
    depths: tuple[int, int, int, int] = (1, 1, 2, 1)
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    window: int = 4
    width: int = 128
    text_heads: int = 4
    layers: int = 3

    @property
    def encoder(self) -> Mi2:
        """The same as a study's section."""
        image = {
            "image_size": self.side, "dims": self.dims, "depths": self.depths,
            "heads": self.heads, "window": self.window, "drop_path": 0.0,
        }  # fmt: skip
        text = {"width": self.width, "heads": self.text_heads, "layers": self.layers}
        values = {"kind": "mi2", "image": image, "text": text, "projection": 128}
        return Mi2.model_validate(values)

    @property
    def texts(self) -> list[str]:
        """A report for each image."""
        return [self.text.format(number) for number in range(self.batch)]

    @property
    def pixels(self) -> Tensor:
        """Noise, uint8 [B, 1, S, S]."""
        torch.manual_seed(1)
        shape = self.batch, 1, self.side, self.side
        return torch.randint(0, 256, shape, dtype=torch.uint8)


def unicl_ours(case: PairCase) -> Step:
    """The project's own step, with the average of the weights."""
    torch.manual_seed(0)
    tokenizer = load_tokenizer(case.encoder, None)
    optimiser = OptimiserConfig(
        samples=STEPS * case.batch, batch=case.batch, lr=1e-4, weight_decay=0.2
    )
    recipe = Unicl(paradigm="unicl", optimiser=optimiser)
    learner = UniclLearner(Mi2Model(case.encoder, tokenizer), recipe)
    trainer = trainer_of(learner, optimiser)
    numbers = torch.arange(case.batch)
    batch = {
        "images": case.pixels, "tokens": tokenizer(case.texts), "study": numbers, "text": numbers,
        "said": numbers, "by_labels": torch.zeros(case.batch, dtype=torch.bool),
        "states": torch.full((case.batch, 11), -1, dtype=torch.int8),
    }  # fmt: skip
    return lambda: trainer._step(dict(batch))


def unicl_open_clip(case: PairCase) -> Step:
    """open_clip's `train_one_epoch` on its own model of the same size, without averaged weights."""
    import logging

    import open_clip
    import open_clip_train.train as loop
    import timm.models.davit as davit

    logging.disable(logging.WARNING)

    def davit_here(pretrained: bool = False, **options: Any) -> Any:
        sizes = {
            "depths": case.depths, "embed_dims": case.dims, "num_heads": case.heads,
            "window_size": case.window, "down_kernel_size": 3, "channel_attn_v2": True,
            "named_blocks": True,
        }  # fmt: skip
        return davit._create_davit("davit_huge_fl", **(sizes | options))

    if not davit.__dict__.get("davit_here"):
        davit.__dict__["davit_here"] = davit_here
        davit_here.__module__ = davit.__name__
        davit.register_model(davit_here)
    name = f"benchmark-{case.side}-{len(case.text)}"
    config = {
        "embed_dim": 128,
        "custom_text": True,
        "quick_gelu": True,
        "vision_cfg": {
            "timm_model_name": "davit_here", "timm_pool": "avg", "timm_proj": "linear",
            "image_size": case.side,
        },
        "text_cfg": {
            "context_length": 77, "width": case.width, "heads": case.text_heads,
            "layers": case.layers, "no_causal_mask": True, "norm_kwargs": {"eps": 1e-12},
        },
    }  # fmt: skip
    folder = Path(tempfile.mkdtemp())
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model(name, output_dict=True)
    tokens = open_clip.get_tokenizer(name)(case.texts)
    images = (case.pixels.float() / 255).expand(-1, 3, -1, -1).contiguous()
    images = (images - 0.45) / 0.226
    groups = [
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.2},
    ]
    optimiser = torch.optim.AdamW(groups, lr=1e-4)

    class Loader(list[Any]):
        num_batches, num_samples = 1, case.batch

    args = types.SimpleNamespace(
        device="cpu", precision="fp32", distill=False, accum_freq=1, skip_scheduler=True,
        horovod=False, grad_clip_norm=1.0, world_size=1, rank=0, local_rank=0, distributed=False,
        log_every_n_steps=100, batch_size=case.batch, wandb=False,
    )  # fmt: skip
    loader = types.SimpleNamespace(
        dataloader=Loader([(images, tokens)]), set_epoch=lambda epoch: None
    )
    loss = open_clip.ClipLoss()

    def step() -> None:
        loop.train_one_epoch(model, {"train": loader}, loss, 0, optimiser, None, None, None, args)

    return step


PAIRS = {
    "64 px, short texts": PairCase(),
    "112 px, short texts": PairCase(side=112),
    "64 px, full contexts": PairCase(text=LONG),
}


def steps_of(name: str, checkout: Path | None) -> dict[str, Step]:
    """The available implementations of a case, ours first."""
    if name in PAIRS:
        return {"ours": unicl_ours(PAIRS[name]), "open_clip": unicl_open_clip(PAIRS[name])}
    case = VitCase()
    batches = dinov2_batches(case)
    batch = batches[0]
    steps: dict[str, Step] = {"ours": dinov2_ours(case, batch)}
    if checkout:
        steps["reference"] = dinov2_reference(case, batch, checkout)
    if find_spec("lightly"):
        steps["lightly"] = dinov2_lightly(case, batch)
    steps["loader"] = lambda: batches[1]
    return steps


def measured(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Median processor time of each step, seconds, after one warm-up step."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if number:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def peak(name: str, way: str, checkout: Path | None) -> float:
    """Peak resident memory of a process that does three steps, MB."""
    command = [sys.executable, "-m", "benchmarks.pretrain", "--only", name, "--peak", way]
    if checkout:
        command += ["--dinov2", str(checkout)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout.split()[-1])


def _own_peak(name: str, way: str, checkout: Path | None) -> float:
    if name in PAIRS:
        made = unicl_ours if way == "ours" else unicl_open_clip
        step = made(PAIRS[name])
    else:
        case = VitCase()
        batch = dinov2_batches(case)[0]
        if way == "ours":
            step = dinov2_ours(case, batch)
        elif way == "reference":
            assert checkout is not None
            step = dinov2_reference(case, batch, checkout)
        else:
            step = dinov2_lightly(case, batch)
    for _ in range(3):
        step()
    # Not ru_maxrss, which starts from the parent process's value.
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dinov2", type=Path, help="a checkout of the public code")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", action="append", help="cases (all)")
    parser.add_argument("--memory", action="store_true", help="measure peaks, too")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="into docs/measured/pretraining.md")
    args = parser.parse_args(argv)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    names = args.only or ["DINOv2", *PAIRS]
    if args.peak:
        print(_own_peak(names[0], args.peak, args.dinov2))
        return
    lines = []
    for name in names:
        seconds = measured(steps_of(name, args.dinov2), args.rounds)
        loader = seconds.pop("loader", None)
        ours, *peers = seconds
        print(name, seconds, file=sys.stderr, flush=True)
        peaks = {}
        if args.memory:
            peaks = {way: peak(name, way, args.dinov2) for way in seconds}
        for way in peers:
            ratio = f"{seconds[ours] / seconds[way]:.2f}"
            memory = f"{peaks[ours] / peaks[way]:.2f}" if peaks else "–"
            lines.append([name, way, ratio, memory])
            print(*lines[-1], sep="\t", file=sys.stderr, flush=True)
        if loader:
            lines.append(
                [name, "loading and crops over step", f"{loader / seconds[ours]:.2f}", "–"]
            )
    table = markdown(["step", "ours over", "time", "peak memory"], lines)
    print(table)
    if args.write:
        text = f"{machine('torch', 'timm', 'open_clip_torch')}; one thread.\n\n{table}"
        write_between_marks(ROOT / "docs/measured/pretraining.md", "step times", text)


if __name__ == "__main__":
    main()
