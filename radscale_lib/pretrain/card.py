"""The card of a run: what was trained, on what, and how it went."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "tokenizers", "safetensors", "numpy")


def blank_card() -> dict[str, Any]:
    """Every field of a card, empty (`docs/reference/data-contracts.md`)."""
    fields = (
        "arm", "size", "seed", "encoder", "paradigm", "supervision", "status", "reason",
        "budget_share", "samples_budget", "samples_seen", "steps", "images", "repeats_per_image",
        "flops_per_sample", "images_per_second", "seconds", "device", "hardware", "versions",
        "stage_id", "subset_digest", "base_digest", "resumed", "started", "finished", "final_loss",
        "damaged_images", "interpolates", "left_out", "texts", "spikes", "skipped_steps",
    )  # fmt: skip
    return dict.fromkeys(fields)


def versions() -> dict[str, str]:
    """Versions of the software that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def hardware(device: str, devices: int) -> str:
    """The device model, such as "2 x NVIDIA H100", without machine names."""
    if device == "cuda":
        import torch

        return f"{devices} x {torch.cuda.get_device_name()}"
    return _processor()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
