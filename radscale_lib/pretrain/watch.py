"""What the log says of a run besides its losses."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LogRow = dict[str, float]


@dataclass(frozen=True)
class Onlookers:
    """What the leading process measures and reports during training; no result depends on it.

    Attributes:
        probe: how good the kept tower is now.
        probed: steps after which it is asked, which all processes log.
        tell: is given every row of the log.
    """

    probe: Callable[[], float] | None = None
    probed: frozenset[int] = frozenset()
    tell: Callable[[LogRow], None] = lambda row: None


PEAKS = {
    "B200": (2250e12, 75e12),
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
}
"""By part of the device's name: dense FLOP/s in bf16 and in float32 (the vendor's data sheets)."""


def effective_rank(features: Tensor, rounding: float = 0.0) -> Tensor:
    """RankMe of features [N, D] (arXiv 2210.02885, eq. 1): exp of the entropy of singular values.

    From 1, where all rows are multiples of one, to min(N, D).

    Args:
        features: any type.
        rounding: relative error of a feature. Singular values that errors alone would have count as
            none: features that are equal except for rounding have rank 1.

    Returns:
        Float64, scalar; NaN where a feature is not finite.
    """
    x = features.detach().double()
    if not x.isfinite().all():
        return x.new_tensor(float("nan"))
    gram = x.T @ x if x.shape[1] < x.shape[0] else x @ x.T
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    # Of errors of independent entries, the largest is about the mean one times (1 + sqrt(D / N)).
    least = 2 * rounding / min(x.shape) ** 0.5
    singular = singular.where(singular >= least * singular.max(), 0.0)
    share = singular / singular.sum().clamp(min=torch.finfo(torch.float64).tiny)
    rank: Tensor = (-torch.special.xlogy(share, share).sum()).exp()
    return rank


def entropy(assignments: Tensor) -> Tensor:
    """Mean entropy, nats, of rows [B, K] that each sum to 1."""
    mean: Tensor = -torch.special.xlogy(assignments, assignments).sum(dim=1).mean()
    return mean


def peak_flops(name: str, precision: str) -> float | None:
    """FLOP/s that a device can reach at most in a precision, `bf16` or `fp32`; None if not known.

    Args:
        name: of the device, as torch has it.
        precision: of the study's `compute` section.
    """
    known = (peaks for part, peaks in PEAKS.items() if part in name)
    bf16, fp32 = next(known, (None, None))
    return bf16 if precision == "bf16" else fp32


def device_facts(
    device: torch.device, precision: str, flops: float | None, rate: float, devices: int
) -> dict[str, float]:
    """Memory, and the share of the device's peak that training reaches, where that is known.

    Args:
        device: of this process.
        precision: of the study's `compute` section.
        flops: of a sample.
        rate: samples a second, of all devices together.
        devices: number of them.

    Returns:
        `memory_mb`: peak of this process, of the device's memory if it has its own; `mfu`.
    """
    if device.type != "cuda":
        return {"memory_mb": _resident_bytes() / 1e6}
    facts = {"memory_mb": torch.cuda.max_memory_allocated(device) / 1e6}
    peak = peak_flops(torch.cuda.get_device_name(device), precision)
    if peak and flops:
        facts["mfu"] = flops * rate / (peak * devices)
    return facts


def _resident_bytes() -> float:
    """Peak resident memory of this process."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
