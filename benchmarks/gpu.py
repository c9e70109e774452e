"""Checks of both full-size encoders that need a GPU, as a table, in at most eight minutes.

Without a GPU it says so. `--small` runs the same checks on towers of a few thousand weights, on a
CPU except for flash attention and NCCL; a test does that.

    python -m benchmarks.gpu                       # on a machine with a GPU
    python -m benchmarks.gpu --small --device cpu  # anywhere
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from benchmarks.memory import ROOT, learner_of, varied
from benchmarks.pretrain import VitCase, dinov2_batches
from benchmarks.tables import markdown
from radscale_lib.planning.memory import step_bytes
from radscale_lib.pretrain.checkpoint import save_checkpoint
from radscale_lib.pretrain.distributed import World, gather
from radscale_lib.pretrain.flops import flops_per_sample
from radscale_lib.pretrain.learner import Batch
from radscale_lib.pretrain.session import _compile, _set_up_libraries
from radscale_lib.pretrain.trainer import Trainer
from radscale_lib.study import Study, load_study

ARMS = {"rad-dino": 16, "mi2-reports-labels": 16}
"""Arms of config/paper.yaml, and a batch size that fits any current GPU."""
SECONDS = 480


class Row(NamedTuple):
    """A row of the table; `good` is None if there is nothing to pass."""

    check: str
    found: str
    good: bool | None


def small(study: Study) -> Study:
    """The full study with tiny towers."""
    values = study.model_copy(deep=True)
    vit, davit = values.encoders["rad-dino"], values.encoders["mi2"]
    sizes: dict[str, Any] = {"image_size": 56, "width": 32, "depth": 4, "heads": 2}
    vit.image.__dict__.update(sizes)  # type: ignore[attr-defined]
    vit.head.__dict__.update(hidden=32, bottleneck=16, prototypes=64)  # type: ignore[attr-defined]
    davit.image.__dict__.update(  # type: ignore[attr-defined]
        image_size=64, dims=(8, 16, 16, 32), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4), window=4
    )
    davit.text.__dict__.update(context=16, width=16, layers=2, heads=2)  # type: ignore[attr-defined]
    davit.__dict__["projection"] = 16
    values.arms["rad-dino"].recipe.__dict__["local_size"] = 28
    return values


class Bench:
    """An arm on a device, with a batch of noise."""

    def __init__(self, study: Study, arm: str, images: int, device: torch.device) -> None:
        study = study.model_copy(deep=True)
        study.compute.__dict__.update(devices=1, device=device.type)
        optimiser = study.arms[arm].recipe.optimiser
        optimiser.__dict__.update(batch=images, samples=100 * images, passes=1)
        self.study, self.arm, self.images, self.device = study, arm, images, device
        self.batch = self._noise(learner_of(study, arm)[1])

    def trainer(self, folder: Path | None = None, **changes: Any) -> Trainer:
        """A trainer with the initial weights; `precision` and `recompute` may be changed."""
        study = varied(self.study, self.arm, changes.get("recompute", ()), 1)
        study.compute.__dict__["precision"] = changes.get("precision", "bf16")
        torch.manual_seed(0)
        learner = learner_of(study, self.arm)[0].to(self.device)
        return Trainer(
            learner, [], study.arms[self.arm].recipe.optimiser, study.compute,  # type: ignore[arg-type]
            World(0, 1, self.device), 0, folder or Path(tempfile.mkdtemp()),
        )  # fmt: skip

    def _noise(self, empty: Batch) -> Batch:
        torch.manual_seed(1)
        noise = {}
        for name, x in empty.items():
            if name == "mask":
                noise[name] = torch.rand(x.shape) < 0.15
            elif name in ("study", "text", "said"):
                noise[name] = torch.arange(len(x))
            elif x.dtype == torch.bool:
                noise[name] = torch.zeros_like(x)
            elif name == "states":
                noise[name] = torch.full_like(x, -1)
            else:
                noise[name] = torch.randint(0, 255, x.shape).to(x.dtype)
        if "tokens" in noise:
            noise["tokens"][:, -1] = 49407
        return {name: x.to(self.device) for name, x in noise.items()}

    def gradient(self, trainer: Trainer) -> tuple[float, Tensor]:
        """Loss and gradient of one step."""
        trainer.adamw.zero_grad()
        loss = trainer.backward(dict(self.batch))["loss"]
        named = sorted(trainer.learner.named_parameters())
        parts = [p.grad.flatten().float() for _, p in named if p.grad is not None]
        return float(loss), torch.cat(parts)


def synchronised(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(step: Callable[[], object], device: torch.device, times: int) -> float:
    """Wall time of a step, after two warm-up steps."""
    for _ in range(2):
        step()
    synchronised(device)
    start = time.perf_counter()
    for _ in range(times):
        step()
    synchronised(device)
    return (time.perf_counter() - start) / times


def checks_of(bench: Bench, compiled: bool) -> Iterator[Row]:
    """Numerics, determinism, recomputing, resume, compiling, speed and memory of an arm."""
    arm, device = bench.arm, bench.device
    exact, gradient = bench.gradient(bench.trainer(precision="fp32"))
    loss, rough = bench.gradient(bench.trainer())
    cosine = float(F.cosine_similarity(gradient, rough, dim=0))
    off = abs(loss - exact) / abs(exact)
    yield Row(
        f"{arm}: bf16 against fp32",
        f"loss {off:.1e} off, cosine of gradients {cosine:.4f}",
        off < 0.02 and cosine > 0.9,  # rounding decides which neighbour is nearest in KoLeo
    )
    again = bench.gradient(bench.trainer())
    same = loss == again[0] and torch.equal(rough, again[1])
    yield Row(f"{arm}: a second run", "equal to the bit" if same else "differs", same)
    towers = bench.study.arms[arm].recipe.towers
    anew = bench.gradient(bench.trainer(recompute=towers))
    error = float((anew[1] - rough).norm() / rough.norm())
    yield Row(f"{arm}: activations computed anew", f"gradient {error:.1e} off", error < 1e-3)
    same = resumes(bench)
    yield Row(f"{arm}: resume", "equal to the bit" if same else "differs", same)
    plain = bench.trainer()
    step = lambda: plain._step(dict(bench.batch))  # noqa: E731
    flops = flops_per_sample(plain, dict(bench.batch), bench.images)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of(step, device, 5 if device.type == "cuda" else 1)
    rate = bench.images / seconds
    found = f"{rate:.1f} images/s"
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
        planned = step_bytes(bench.study, arm) or 0.0
        share = rate * flops / product_rate(device)
        found += (
            f", {100 * share:.0f} % of a large matrix product's rate, {peak / 1e9:.1f} GB "
            f"(plan: {planned / 1e9:.1f})"
        )
    yield Row(f"{arm}: a step of {bench.images}", found, None)
    if compiled:
        trainer = bench.trainer()
        _compile(trainer.learner)
        found_loss, found_gradient = bench.gradient(trainer)
        error = float((found_gradient - rough).norm() / rough.norm())
        quick = seconds_of(lambda: trainer._step(dict(bench.batch)), device, 5)
        yield Row(
            f"{arm}: compiled",
            f"gradient {error:.1e} off, {quick / seconds:.2f} of the time",
            error < 0.05 and abs(found_loss - loss) < 0.01 * abs(loss),
        )
    features = torch.cat([x.flatten() for x in levels(plain, bench)])
    rounded = features.half().float()
    error = float((rounded - features).norm() / features.norm())
    finite = bool(rounded.isfinite().all())
    yield Row(
        f"{arm}: features in float16",
        f"largest {float(features.abs().max()):.0f}, {error:.1e} off",
        finite and error < 1e-3,
    )


def levels(trainer: Trainer, bench: Bench) -> list[Tensor]:
    """All levels of a few images."""
    tower: Any = trainer.learner.towers("image")[0]
    images = bench.batch["global" if "global" in bench.batch else "images"][:4].float() / 255
    with torch.no_grad():
        return [level.float() for level in tower.eval().levels(images).levels]


def resumes(bench: Bench) -> bool:
    """Whether four steps give the same weights as two, a checkpoint and two more."""
    ends = []
    for stop in (None, 2):
        with tempfile.TemporaryDirectory() as name:
            trainer = bench.trainer(Path(name))
            for number in range(4):
                if number == stop:
                    save_checkpoint(
                        trainer.folder, trainer.learner, trainer.adamw, trainer.progress
                    )
                    trainer = bench.trainer(Path(name))
                trainer._step(dict(bench.batch))
                trainer.progress.step += 1
        ends.append(trainer.learner.state_dict())
    return all(torch.equal(x, ends[1][name]) for name, x in ends[0].items())


_RATES: dict[str, float] = {}


def product_rate(device: torch.device) -> float:
    """FLOPs per second of a product of two matrices with 8,192 rows in bf16."""
    if device.type not in _RATES:
        x = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
        _RATES[device.type] = 2 * 8192**3 / seconds_of(lambda: x @ x, device, 10)
    return _RATES[device.type]


def flash(device: torch.device) -> Row:
    """Whether attention with the ViT's shape uses the flash kernel, and its error."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 4, 12, 1370, 64, device=device, dtype=torch.bfloat16)
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            found = F.scaled_dot_product_attention(q, k, v)
    except RuntimeError as error:
        return Row("flash attention", str(error).splitlines()[0][:60], False)
    with sdpa_kernel(SDPBackend.MATH):
        exact = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    off = float((found.float() - exact).norm() / exact.norm())
    return Row("flash attention", f"{off:.1e} off", off < 0.01)


@contextmanager
def group(device: torch.device) -> Iterator[None]:
    """A group of one process: NCCL on a GPU, gloo elsewhere."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def collectives(bench: Bench) -> Row:
    """A step in a process group of one, and a differentiable gather."""
    expected = bench.gradient(bench.trainer())[1]
    with group(bench.device):
        trainer = bench.trainer()
        trainer._model = DistributedDataParallel(trainer.learner, broadcast_buffers=False)
        found = bench.gradient(trainer)[1]
        x = torch.ones(2, device=bench.device, requires_grad=True)
        gather(x).sum().backward()
    error = float((found - expected).norm() / expected.norm())
    name = "NCCL" if bench.device.type == "cuda" else "gloo"
    good = error < 1e-3 and x.grad is not None and bool((x.grad == 1).all())
    return Row(f"{name} on one device", f"gradient {error:.1e} off", good)


def loader() -> Row:
    """Crops of full-size films by one process; decoding is in docs/measured/loader.md."""
    case = VitCase(side=518, local_side=98, batch=16)
    batches = dinov2_batches(case)
    batches[0]
    start = time.process_time()
    batches[1]
    rate = case.batch / (time.process_time() - start)
    return Row("crops of 518 px, one process", f"{rate:.0f} images/s", None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny towers")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--write", type=Path, help="the table, as Markdown")
    args = parser.parse_args(argv)
    if args.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: run `python -m benchmarks.gpu --small --device cpu`", file=sys.stderr)
        return 2
    device = torch.device(args.device)
    began = time.monotonic()
    threads = torch.get_num_threads()
    _set_up_libraries(args.device, threads)
    study = load_study(ROOT / "config/paper.yaml")
    if args.small:
        study = small(study)
    benches = [Bench(study, arm, 4 if args.small else n, device) for arm, n in ARMS.items()]
    rows = [flash(device)] if args.device == "cuda" else []
    rows += [collectives(benches[0])]
    for bench in benches:
        left = SECONDS - (time.monotonic() - began)
        compiled = not args.no_compile and args.device == "cuda" and left > 240
        for row in checks_of(bench, compiled):
            rows.append(row)
            print(*row, sep="\t", file=sys.stderr, flush=True)
    if not args.small:
        rows.append(loader())
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(threads)
    verdicts = {True: "yes", False: "**no**", None: "–"}
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    table = markdown(["check", "found", "good"], [(*row[:2], verdicts[row.good]) for row in rows])
    text = f"{name}, torch {torch.__version__}\n\n{table}\n"
    print(text)
    if args.write:
        args.write.write_text(text)
    return int(any(row.good is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
