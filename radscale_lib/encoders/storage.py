"""Encoder files: safetensors with the study's encoder section (and a tokenizer) as metadata."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.towers import build
from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import InputError
from radscale_lib.study.encoders import ENCODERS, EncoderSection
from radscale_lib.study.floors import Pixels
from radscale_lib.study.kinds import union

_NAMES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Types by their names in safetensors."""
_SECTION: TypeAdapter[EncoderSection] = TypeAdapter(union(ENCODERS | {"pixels": Pixels}, "kind"))


class EncoderFileError(InputError):
    """An encoder file that cannot be used."""


@dataclass(frozen=True)
class EncoderFile:
    """Content of `encoder.safetensors`.

    Attributes:
        encoder: the study section of its architecture.
        tensors: by name: `image.*`; for MI2 `text.*`, `projection.*` and `logit_scale`; for
            RAD-DINO `head.*` and `mask_token`; for open_clip `text.*`. Empty for a failed run.
        tokenizer: the learnt tokenizer, JSON of `tokenizers`; None if CLIP's own is used.
    """

    encoder: EncoderSection
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    tokenizer: str | None = None

    def part(self, name: str) -> dict[str, Tensor]:
        """Tensors whose name starts with `name.`, without that prefix."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): value
            for key, value in self.tensors.items()
            if key.startswith(prefix)
        }


def save_encoder(path: Path, content: EncoderFile) -> None:
    """Write an encoder file atomically, one tensor at a time; equal content gives equal bytes."""
    metadata = {
        "config": json.dumps(content.encoder.stored().model_dump(mode="json"), sort_keys=True)
    }
    if content.tokenizer is not None:
        metadata["tokenizer"] = content.tokenizer
    header: dict[str, Any] = {"__metadata__": metadata}
    places: list[tuple[int, str]] = []
    for name, tensor in content.tensors.items():
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape)}
        places.append((-tensor.element_size(), name))
    end = 0
    for size, name in sorted(places):  # in the library's layout: by alignment, then by name
        begin, end = end, end - size * math.prod(header[name]["shape"])
        header[name]["data_offsets"] = [begin, end]
    # In a fixed order, unlike the library's own.
    encoded = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with atomic_write(path) as partial, partial.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for _, name in sorted(places):
            values = content.tensors[name].detach().cpu().contiguous()
            file.write(values.flatten().view(torch.uint8).numpy().data)


def read_encoder(path: Path, part: str | None = "") -> EncoderFile:
    """Read an encoder file; half-precision weights become float32.

    Args:
        path: the file.
        part: read only tensors whose names begin with this; null reads none.

    Raises:
        EncoderFileError: if it is not a safetensors file of an encoder.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copied, since unaligned tensors, as in the file, change the last bit of products.
            names = [] if part is None else [n for n in file.keys() if n.startswith(part)]  # noqa: SIM118
            tensors = {name: _copied(file.get_tensor(name)) for name in names}
        encoder = _SECTION.validate_json(metadata["config"])
    except (SafetensorError, OSError, KeyError, ValidationError) as error:
        raise EncoderFileError(
            f"{path}: not an encoder file of this project ({type(error).__name__}): "
            "give the encoder.safetensors of a run"
        ) from None
    return EncoderFile(encoder, tensors, metadata.get("tokenizer"))


def is_encoder_file(path: Path) -> bool:
    """Whether a path is a file written by `save_encoder`, not just any safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return "config" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _copied(tensor: Tensor) -> Tensor:
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor.clone()


def load_tower(path: Path) -> Tower:
    """The image tower of an encoder file, in evaluation mode and without gradients.

    Raises:
        EncoderFileError: if the file is not an encoder file, or belongs to a failed run.
    """
    content = read_encoder(path, "image.")
    if not content.tensors:
        raise EncoderFileError(f"{path}: the run failed, so there is no encoder: see encoder.json")
    return tower_of(content)


def tower_of(content: EncoderFile) -> Tower:
    """The image tower of an encoder file's content, in evaluation mode and without gradients."""
    with torch.device("meta"):
        tower = build(content.encoder)
    tower.load_state_dict(content.part("image"), assign=True)
    return tower.eval().requires_grad_(False)
