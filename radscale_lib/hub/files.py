"""Files that several libraries use: weights, and configurations in JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from radscale_lib.files import write_json
from radscale_lib.provenance.step import InputError
from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.transformers import RESAMPLING

WEIGHTS = "model.safetensors"
"""File in which timm and transformers look for weights."""
TIMM_USAGE = """\
import timm
model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
embedding = model(transform(image.convert("RGB")).unsqueeze(0))  # a PIL image; [1, channels]
"""


class ExportError(InputError):
    """An encoder that cannot be exported in this form."""


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write weights as a PyTorch safetensors file; equal weights give equal bytes."""
    whole = {name: tensors[name].contiguous() for name in sorted(tensors)}
    save_file(whole, path, {"format": "pt"})


def write_timm(
    folder: Path,
    architecture: str,
    arguments: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    **facts: Any,
) -> None:
    """Write a folder that `timm.create_model("local-dir:FOLDER")` loads.

    Args:
        folder: where.
        architecture: one that timm knows.
        arguments: constructor arguments that differ from the architecture's defaults.
        tensors: the state dict of timm's module without a classifier.
        settings: timm's `pretrained_cfg`: the input, and names of layers.
        **facts: `num_features` and `global_pool`.
    """
    settings = {**settings, "num_classes": 0, "pool_size": None, "custom_load": False}
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


def image_processor(known: Input) -> dict[str, Any]:
    """An input in the form of a transformers image processor.

    Raises:
        ExportError: for an input that is padded, which image processors of this form cannot do.
    """
    square = {"height": known.size, "width": known.size}
    if known.resize == "longer" or known.resized < known.size:
        raise ExportError("images are padded to the square, which no image processor does")
    resized = {"height": known.resized, "width": known.resized}
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": resized if known.resize == "both" else {"shortest_edge": known.resized},
        "resample": RESAMPLING.index(known.resampling),
        "do_center_crop": True,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(known.mean),
        "image_std": list(known.std),
    }
