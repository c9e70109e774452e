"""Count the memory of a training step of both full-size encoders, by setting, without running it.

A step of the real learner and optimiser runs on tensors without content, and every storage that
torch allocates is counted from its first to its last use. Kernels' own memory, the allocator's
rounding and the CUDA context are not included: allow another tenth.

    python benchmarks/memory.py --write      # the table of docs/measured/pretraining.md
    python benchmarks/memory.py --study my-study.yaml --arm rad-dino
"""

import argparse
import copy
import sys
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.tables import markdown, write_between_marks
from radscale_lib.planning.memory import step_bytes
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.distributed import World
from radscale_lib.pretrain.learner import Batch, Learner
from radscale_lib.pretrain.trainer import Trainer
from radscale_lib.pretrain.unicl_learner import Mi2Model, UniclLearner
from radscale_lib.study import Study, load_study
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.paradigms.dinov2 import Dinov2
from radscale_lib.study.paradigms.unicl import Unicl

ROOT = Path(__file__).resolve().parents[1]


class Counted(NamedTuple):
    """Bytes of a device: at rest (weights, average or teacher, moments), and at a step's peak."""

    rest: int
    peak: int


class Meter(TorchDispatchMode):
    """Counts the living storages."""

    def __init__(self, masked: int) -> None:
        """Start counting; operations with value-dependent shapes return `masked` rows."""
        super().__init__()
        self.masked = masked
        self.live = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name == "nonzero":
            found = torch.empty(self.masked, args[0].ndim, dtype=torch.int64)
        elif name == "repeat_interleave":
            found = torch.empty(self.masked, dtype=torch.int64)
        else:
            found = func(*args, **(kwargs or {}))
        torch.utils._pytree.tree_map_only(Tensor, self.hold, found)
        return found

    def hold(self, tensor: Tensor) -> Tensor:
        """Count a tensor's storage until it is gone."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._seen:
            self._seen.add(key)
            size = storage.nbytes()
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._free, key, size)
        return tensor

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


class _Words:
    """The part of CLIP's tokenizer that a text tower needs."""

    size, end = 49408, 49407


def learner_of(study: Study, arm: str) -> tuple[Learner, Batch, int]:
    """Learner and a device's share of a step, without content; and the masked patches of a pass."""
    section = (study.arms | study.bases)[arm]
    recipe, encoder = section.recipe, study.section_of(arm)
    images = recipe.optimiser.batch // study.compute.devices
    size, masked = encoder.image_size, 0
    if isinstance(recipe, Dinov2) and isinstance(encoder, RadDino):
        learner: Learner = Dinov2Learner(RadDinoModel(encoder, recipe.separate_ibot_head), recipe)
        patches, local = encoder.image.patches, recipe.local_size
        share = recipe.mask_probability * sum(recipe.mask_ratio) / 2
        masked = round(2 * images / recipe.optimiser.passes * share * patches)
        batch = {
            "global": torch.empty(2 * images, 1, size, size, dtype=torch.uint8),
            "mask": torch.empty(2 * images, patches, dtype=torch.bool),
        }
        if recipe.local_crops:
            shape = recipe.local_crops * images, 1, local, local
            batch["local"] = torch.empty(shape, dtype=torch.uint8)
    elif isinstance(recipe, Unicl) and isinstance(encoder, Mi2):
        model, average = (Mi2Model(encoder, _Words(), recipe.loss) for _ in range(2))  # type: ignore[arg-type]
        with mock.patch.object(copy, "deepcopy", lambda _: average):  # no constants are copied
            learner = UniclLearner(model, recipe)
        average.load_state_dict(model.state_dict())
        batch = {
            "images": torch.empty(images, 1, size, size, dtype=torch.uint8),
            "tokens": torch.empty(images, encoder.text.context, dtype=torch.int64),
            "by_labels": torch.empty(images, dtype=torch.bool),
            "states": torch.empty(images, 18, dtype=torch.int8),
            **{name: torch.empty(images, dtype=torch.int64) for name in ("study", "text", "said")},
        }
    else:
        raise SystemExit(f"{arm}: memory is counted for dinov2 and unicl")
    for name in recipe.recompute:
        for tower in learner.towers(name):
            tower.recompute()  # type: ignore[operator]
    return learner, batch, masked


def count(study: Study, arm: str) -> Counted:
    """Bytes of one device in a step of an arm."""
    section = (study.arms | study.bases)[arm]
    with _as_on_a_gpu(study.compute.devices), FakeTensorMode(), Meter(0) as meter:
        learner, batch, meter.masked = learner_of(study, arm)
        for tensor in (*learner.parameters(), *learner.buffers()):
            meter.hold(tensor.data)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                learner, [], section.recipe.optimiser, study.compute,  # type: ignore[arg-type]
                World(0, 1, torch.device("cpu")), 0, Path(folder),
            )  # fmt: skip
        for step in range(2):  # moments are made in the first
            if step:
                meter.peak = rest = meter.live
            trainer.adamw.zero_grad()
            trainer.backward(batch)
            learner.before_update(trainer.optimiser.steps - 1)
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            trainer.adamw.step()
            learner.after_update(0)
            trainer.adamw.zero_grad()
    return Counted(rest, meter.peak)


@contextmanager
def _as_on_a_gpu(devices: int) -> Any:
    """Imitate a GPU: norms in float32 under autocast, and embeddings gathered from all devices."""
    norm = F.layer_norm

    def full(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return norm(x.float(), *args, **kwargs)

    def gathered(x: Tensor) -> Tensor:
        return torch.cat([x] * devices)

    # Copies of a model's tensors belong to the mode of the originals.
    same = mock.patch.object(FakeTensorMode, "__deepcopy__", lambda mode, _: mode, create=True)
    with same, ExitStack() as stack:
        stack.enter_context(mock.patch.object(F, "layer_norm", full))
        stack.enter_context(mock.patch.object(nn.init, "trunc_normal_", lambda x, **_: x))
        # The rates of stochastic depth, the only numbers that a tower reads from a tensor.
        stack.enter_context(mock.patch.object(FakeTensor, "tolist", lambda x: [0.1] * len(x)))
        for module in ("pairs", "unicl", "siglip", "koleo"):
            name = f"radscale_lib.pretrain.losses.{module}.gather"
            stack.enter_context(mock.patch(name, gathered))
        yield


def settings(arm: str) -> list[dict[str, Any]]:
    """The settings that the table varies."""
    towers = [(), ("image",)] if arm == "rad-dino" else [(), ("image",), ("image", "text")]
    return [
        {"recompute": recompute, "passes": passes} for recompute in towers for passes in (1, 2, 8)
    ]


def varied(study: Study, arm: str, recompute: Sequence[str], passes: int) -> Study:
    """The study with an arm's settings changed."""
    study = copy.deepcopy(study)
    recipe = study.arms[arm].recipe
    optimiser = recipe.optimiser.model_copy(update={"passes": passes})
    changed = recipe.model_copy(update={"recompute": tuple(recompute), "optimiser": optimiser})
    arms = {**study.arms, arm: study.arms[arm].model_copy(update={"recipe": changed})}
    return study.model_copy(update={"arms": arms})


def main(argv: Sequence[str] | None = None) -> None:
    """Count, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=ROOT / "config/paper.yaml")
    parser.add_argument("--arm", action="append", help="(rad-dino and mi2-reports-labels)")
    parser.add_argument("--as-it-is", action="store_true", help="the study's own settings alone")
    parser.add_argument("--write", action="store_true", help="into docs/measured/pretraining.md")
    args = parser.parse_args(argv)
    study = load_study(args.study)
    lines = []
    for arm in args.arm or ["rad-dino", "mi2-reports-labels"]:
        recipe = study.arms[arm].recipe
        own = {"recompute": recipe.recompute, "passes": recipe.optimiser.passes}
        for setting in [own] if args.as_it_is else settings(arm):
            changed = varied(study, arm, **setting)
            rest, peak = count(changed, arm)
            planned = step_bytes(changed, arm)
            shown = ", ".join(setting["recompute"]) or "–"
            lines.append([
                arm, recipe.optimiser.batch // study.compute.devices, setting["passes"], shown,
                f"{rest / 1e9:.1f}", f"{peak / 1e9:.0f}", f"{planned / 1e9:.0f}",
            ])  # fmt: skip
            print(*lines[-1], sep="\t", file=sys.stderr, flush=True)
    head = ["arm", "images", "passes", "recomputed", "at rest, GB", "peak, GB", "plan says, GB"]
    table = markdown(head, lines)
    print(table)
    if args.write:
        write_between_marks(ROOT / "docs/measured/pretraining.md", "memory", table)


if __name__ == "__main__":
    main()
