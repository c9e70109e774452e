"""What the log reports on a run besides its losses."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LogRow = dict[str, float]


@dataclass(frozen=True)
class Onlookers:
    """Measurements and reports during training, on which no result depends.

    Attributes:
        probe: measures how good the kept tower is.
        probed: steps after which the probe is run, which all processes log.
        tell: receives every row of the log.
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
"""Dense FLOP/s in bf16 and in float32 (vendor data sheets), by part of the device's name."""


def effective_rank(features: Tensor, rounding: float = 0.0) -> Tensor:
    """RankMe of features [N, D] (arXiv 2210.02885, eq. 1): exp of the entropy of singular values.

    From 1, if all rows are multiples of one, to min(N, D).

    Args:
        features: any type.
        rounding: relative error of a feature. Singular values no larger than those of errors alone
            count as 0, so that features that are equal except for rounding have rank 1.

    Returns:
        Float64, scalar; NaN if a feature is not finite.
    """
    x = features.detach().double()
    if not x.isfinite().all():
        return x.new_tensor(float("nan"))
    gram = x.T @ x if x.shape[1] < x.shape[0] else x @ x.T
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    # For independent errors, the largest singular value is about the mean one * (1 + sqrt(D / N)).
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
    """Peak FLOP/s of a device in a precision, `bf16` or `fp32`; None if not known.

    Args:
        name: the device's name in torch.
        precision: of the study's `compute` section.
    """
    known = (peaks for part, peaks in PEAKS.items() if part in name)
    bf16, fp32 = next(known, (None, None))
    return bf16 if precision == "bf16" else fp32


def device_facts(
    device: torch.device, precision: str, flops: float | None, rate: float, devices: int
) -> dict[str, float]:
    """Memory, and the share of the device's peak that training reaches, if known.

    Args:
        device: of the process.
        precision: of the study's `compute` section.
        flops: operations per sample.
        rate: samples per second of all devices together.
        devices: number of them.

    Returns:
        `memory_mb`: peak of this process, in device memory if the device has its own; `mfu`.
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
