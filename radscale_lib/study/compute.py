"""Compute: the device of the heavy stages, its assumed speed, and the budget."""

from typing import Literal

from pydantic import Field

from radscale_lib.study.base import Section


class Budget(Section):
    """Limits for the whole study; `plan` refuses to exceed them."""

    gpu_hours: float | None = Field(None, ge=0, description="GPU-hours.")
    core_hours: float | None = Field(None, ge=0, description="CPU-core-hours.")
    disk_gb: float | None = Field(None, ge=0, description="Disk space of all results, GB.")


class Compute(Section):
    """Hardware on which results depend, or from which the plan is computed."""

    device: Literal["cpu", "cuda"] = Field("cpu", description="Device of training and features.")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Autocast precision; master weights and teacher stay fp32."
    )
    compile: bool = Field(
        False,
        description="Whether torch compiles the towers that are trained: it takes minutes at the "
        "start and needs a C++ compiler. Results differ by rounding.",
    )
    devices: int = Field(1, ge=1, description="Devices of one pretraining run.")
    tflops: float = Field(
        0.05,
        gt=0,
        description="Assumed peak rate of one device, TFLOP/s, for plans without measurements.",
    )
    utilisation: float = Field(0.4, gt=0, le=1, description="Share of that rate that is reached.")
    watts: float | None = Field(
        None,
        gt=0,
        description="Power of one device under load, W, from which the report computes energy; "
        "without it the report states none.",
    )
    checkpoint_minutes: float = Field(
        15, gt=0, description="Minutes between checkpoints of a pretraining run."
    )
    damaged_images: Literal["stop", "skip"] = Field(
        "stop",
        description="What pretraining does with a damaged image: 'stop' names it; 'skip' uses "
        "another image in its place and counts it on the run's card.",
    )
    budget: Budget = Budget()
