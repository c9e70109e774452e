"""Several processes compute what one does: losses, gradients, whole steps."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from radscale_lib.pretrain.distributed import average, gather, join
from radscale_lib.pretrain.learner import Batch
from radscale_lib.pretrain.losses.centre import Centre
from radscale_lib.pretrain.losses.koleo import koleo_loss
from radscale_lib.pretrain.losses.pairs import compare
from radscale_lib.pretrain.losses.prototypes import sinkhorn
from radscale_lib.pretrain.losses.siglip import siglip_loss
from radscale_lib.pretrain.losses.unicl import unicl_loss
from tests.pretrain.archive import Archive
from tests.pretrain.runs import batches_of, job

CONTRASTIVE = ("unicl", "siglip")
ARMS = ("mi2-both", "mi2-siglip", "rad-dino", "labels")
STATES = [[-1, -1], [-1, -1], [1, -1], [-1, -1], [1, 0], [-1, -1], [-1, -1], [0, 0]]
KNOWN = {
    "study": torch.tensor([0, 1, 2, 0, 3, 4, 1, 5]),
    "text": torch.tensor([0, 1, 2, 3, 4, 5, 6, 7]),
    "said": torch.tensor([0, 1, 2, 3, 4, 1, 6, 7]),
    "by_labels": torch.tensor([False, False, True, False, True, False, False, True]),
    "states": torch.tensor(STATES, dtype=torch.int8),
    "words": torch.eye(8, dtype=torch.uint8),
}
"""Reports of one study, two of the same words, and label sets that may be one."""


class Towers(torch.nn.Module):
    """Two linear towers and a temperature."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = torch.nn.Linear(5, 4), torch.nn.Linear(3, 4)
        self.scale = torch.nn.Parameter(torch.tensor(1.0))
        self.bias = torch.nn.Parameter(torch.tensor(-2.0))

    def forward(self, x: torch.Tensor, y: torch.Tensor, known: Batch) -> torch.Tensor:
        u, v, pairs = self.image(x), self.text(y), compare(known, 0.5)
        siglip = siglip_loss(u, v, self.scale, self.bias, pairs)
        return torch.stack([unicl_loss(u, v, self.scale, pairs), siglip])


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(8, 5), torch.randn(8, 3)


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("module."): p.grad
        for name, p in model.named_parameters()
        if p.grad is not None
    }


def copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def on_several(rank: int, count: int, port: int, folder: Path, archive: Archive) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    with join("cpu") as world:
        assert (world.rank, world.size) == (rank, count)
        results = {}
        size = 8 // count
        share = slice(size * rank, size * (rank + 1))
        model = DistributedDataParallel(Towers())
        x, y = inputs()
        known = {name: values[share] for name, values in KNOWN.items()}
        for number, name in enumerate(CONTRASTIVE):
            model.zero_grad()
            loss = model(x[share], y[share], known)[number]
            loss.backward()
            results[name] = average(loss)
            results[f"{name} gradients"] = copied(gradients(model))
        if count > 1:  # no process holds more than its own rows
            assert compare(known).positive.shape == (size, 8)

        features = x[share].clone().requires_grad_()
        koleo_loss(features).backward()
        results["koleo gradient"] = gather(features.grad) / count  # DDP averages over processes

        # Processes hold different numbers of patches, the second none.
        edges = [0, *(1 + 7 * number // (count - 1) for number in range(count))]
        edges[2] = 1 if count > 2 else 8
        part = slice(edges[rank], edges[rank + 1])
        rows, prototypes = sinkhorn(x[part], torch.eye(5), 0.2).whole(), torch.eye(5)
        centre = Centre(5, 0.5)
        centre(x[part], prototypes, 0.2)
        centre.update()
        results["centre"] = centre.mean
        padded = torch.zeros(8, 5)
        padded[part] = rows
        results["sinkhorn"] = gather(padded[None]).sum(dim=0)

        for arm in ARMS:
            learner, batches = batches_of(job(archive, arm), folder / arm, rank, count)
            ddp = DistributedDataParallel(learner.eval(), broadcast_buffers=False)
            learner.watching = True
            losses = ddp(batches[3], 3)
            results[f"{arm} watched"] = copied(learner.watch())
            losses["loss"].backward()
            results[arm] = average(losses["loss"])
            results[f"{arm} gradients"] = gradients(learner)
            facts = learner.describe(batches[3])
            if facts:
                results[f"{arm} facts"] = torch.stack([facts[name] for name in sorted(facts)])
        if world.leads:
            torch.save(results, folder / "results.pt")


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.long)])
def several(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, archive: Archive
) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("several")
    for arm in ARMS:
        batches_of(job(archive, arm), folder / arm)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(on_several, (request.param, port, folder, archive), nprocs=request.param)
    return torch.load(folder / "results.pt", weights_only=True)


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=2e-6, rtol=1e-4)


def close_gradients(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """To rounding, which sums that nearly cancel make larger than an element."""
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        error = (actual[name] - gradient).norm() / gradient.norm().clamp(min=1e-6)
        assert error < 1e-3, (name, error)


@pytest.mark.parametrize("name", CONTRASTIVE)
def test_contrastive_losses(name: str, several: dict[str, torch.Tensor]) -> None:
    """Gradients too: with the remote part detached, the loss is right and they are half."""
    model = Towers()
    loss = model(*inputs(), KNOWN)[CONTRASTIVE.index(name)]
    loss.backward()
    close(several[name], loss.detach())
    close_gradients(several[f"{name} gradients"], gradients(model))


def test_koleo(several: dict[str, torch.Tensor]) -> None:
    x = inputs()[0].requires_grad_()
    koleo_loss(x).backward()
    close(several["koleo gradient"], x.grad)


def test_sinkhorn(several: dict[str, torch.Tensor]) -> None:
    close(several["sinkhorn"], sinkhorn(inputs()[0], torch.eye(5), 0.2).whole())


def test_centre(several: dict[str, torch.Tensor]) -> None:
    close(several["centre"], inputs()[0].mean(dim=0) / 2)


@pytest.mark.parametrize("arm", ARMS)
def test_a_step(
    arm: str, several: dict[str, torch.Tensor], archive: Archive, tmp_path: Path
) -> None:
    learner, batches = batches_of(job(archive, arm), tmp_path)
    learner.watching = True
    losses = learner.eval()(batches[3], 3)
    watched = learner.watch()
    assert watched.keys() == several[f"{arm} watched"].keys() and "rank" in watched
    for name, value in watched.items():
        close(several[f"{arm} watched"][name], value)
    losses["loss"].backward()
    close(several[arm], losses["loss"].detach())
    close_gradients(several[f"{arm} gradients"], gradients(learner))
    facts = learner.describe(batches[3])
    if facts:
        expected = torch.stack([facts[name] for name in sorted(facts)])
        close(several[f"{arm} facts"], expected)
