"""One run on several devices: ranks, and collectives that do nothing on a single device."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class World:
    """The processes of a run and this process's rank among them."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0


@contextmanager
def join(device: str) -> Iterator[World]:
    """Join the processes that torchrun started (WORLD_SIZE > 1), or run alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if size > 1:
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield World(rank, size, torch.device(device))
    finally:
        if size > 1:
            dist.destroy_process_group()


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather(x: Tensor) -> Tensor:
    """[B, ...] of each process -> [world * B, ...], in the order of ranks.

    Differentiable: each process receives the sum over all processes of the gradients of its part.
    So if all compute the same loss, DDP's average over processes is that loss's gradient. The shape
    must be the same on every process.
    """
    return x if world_size() == 1 else _Gather.apply(x)


def average(x: Tensor) -> Tensor:
    """Mean over processes, without gradient."""
    if world_size() == 1:
        return x
    x = x.detach().clone()
    dist.all_reduce(x)
    return x / world_size()


def largest(value: int, world: World) -> int:
    """The largest of a number over processes."""
    if world.size == 1:
        return value
    x = torch.tensor(value, device=world.device)
    dist.all_reduce(x, dist.ReduceOp.MAX)
    return int(x)
