"""Files that the other libraries share: weights, and configurations in JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from radscale_lib.files import write_json

WEIGHTS = "model.safetensors"
"""Where timm and transformers look for weights."""


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write weights as a safetensors file of PyTorch's; equal weights give equal bytes."""
    save_file(
        {name: tensors[name].contiguous() for name in sorted(tensors)}, path, {"format": "pt"}
    )


def write_timm(
    folder: Path,
    architecture: str,
    arguments: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    preprocessing: Mapping[str, Any],
    **facts: Any,
) -> None:
    """Write a folder that `timm.create_model("local-dir:FOLDER")` loads.

    Args:
        folder: where.
        architecture: one that timm knows.
        arguments: of its constructor, where they are not the architecture's own.
        tensors: the state dict of timm's module without a classifier.
        preprocessing: `input_size`, `fixed_input_size`, `mean`, `std`, `crop_mode`.
        **facts: `num_features`, `global_pool`, and names of layers (`first_conv`, `classifier`).
    """
    layers = {name: facts.pop(name) for name in ("first_conv", "classifier")}
    settings = {
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "custom_load": False,
        "num_classes": 0,
        "pool_size": None,
        **preprocessing,
        **layers,
    }
    write_json(
        folder / "config.json",
        {
            "architecture": architecture,
            "num_classes": 0,
            "model_args": dict(arguments),
            "pretrained_cfg": settings,
            **facts,
        },
    )
    write_weights(folder / WEIGHTS, tensors)
