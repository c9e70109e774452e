"""AdamW against torch's own."""

import copy

import torch
from torch import nn

from radscale_lib.adamw import AdamW

BETAS = (0.9, 0.95)


def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 4), nn.LayerNorm(4))


def groups(net: nn.Module) -> list[dict[str, object]]:
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0, "lr": 3e-3}]


def follow(net: nn.Module, optimiser: AdamW | torch.optim.Optimizer, steps: range) -> None:
    """Steps of new rates; the last bias has a gradient in every second step only."""
    for step in steps:
        torch.manual_seed(step)
        for group in optimiser.param_groups:
            group["lr"] *= 0.9
        optimiser.zero_grad()
        net(torch.randn(5, 6)).pow(3).mean().backward()
        if step % 2:
            net[-1].bias.grad = None
        optimiser.step()


def test_steps_are_those_of_torch_to_the_bit() -> None:
    own, other = model(), model()
    follow(own, AdamW(groups(own), 1e-2, BETAS, 0.05), range(8))
    theirs = torch.optim.AdamW(groups(other), 1e-2, BETAS, weight_decay=0.05, fused=True)
    follow(other, theirs, range(8))
    assert all(map(torch.equal, own.parameters(), other.parameters()))
    assert not torch.equal(own[0].weight, model()[0].weight)


def test_a_restored_optimiser_goes_on_exactly(tmp_path) -> None:
    whole = model()
    follow(whole, AdamW(groups(whole), 1e-2, BETAS), range(6))
    first = model()
    optimiser = AdamW(groups(first), 1e-2, BETAS)
    follow(first, optimiser, range(3))
    torch.save(optimiser.state_dict(), tmp_path / "state")
    second = copy.deepcopy(first)
    restored = AdamW(groups(second), 1e-2, BETAS)
    restored.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for group, before in zip(restored.param_groups, optimiser.param_groups, strict=True):
        group["lr"] = before["lr"]
    follow(second, restored, range(3, 6))
    assert all(map(torch.equal, second.parameters(), whole.parameters()))
