"""Reading released weights under our names; which files and names is each kind's to say."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.provenance.step import InputError
from radscale_lib.study.encoders import EncoderSection

Tensors = dict[str, Tensor]
Rules = tuple[tuple[str, str], ...]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Floating-point types, as safetensors names them."""


class ReleaseError(InputError):
    """Released weights that are missing or cannot be read."""


def read_release(encoder: EncoderSection, path: Path, *, headers_only: bool = False) -> EncoderFile:
    """Released weights as float32 tensors under the names of an encoder file.

    Args:
        encoder: the study's section, which knows the release's files.
        path: file or folder of the release.
        headers_only: read names, shapes and single numbers only; the tensors have no storage.

    Raises:
        ReleaseError: if a file is missing or no safetensors file, or a tensor is not of floating
            point or a single number not finite.
    """
    module = import_module(encoder.implementation)
    if hasattr(module, "import_release"):
        content: EncoderFile = module.import_release(encoder, path, headers_only=headers_only)
        return content
    load = load_headers if headers_only else load_tensors
    tensors: Tensors = module.read_release(encoder, path, load)
    return EncoderFile(encoder, {name: tensor.float() for name, tensor in tensors.items()})


def renamed(tensors: Tensors, rules: Rules) -> Tensors:
    """Tensors under names that each rule (pattern, replacement) was applied to, in order."""
    out = {}
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        out[name] = tensor
    return out


def load_tensors(path: Path) -> Tensors:
    """All tensors of a safetensors file.

    Raises:
        ReleaseError: if the file is missing or no safetensors file, or a tensor of another kind.
    """
    with _opened(path) as file:
        return {name: _checked(path, name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def load_headers(path: Path) -> Tensors:
    """The same without storage (on torch's device `meta`), but for single numbers.

    Raises:
        ReleaseError: as `load_tensors`.
    """
    with _opened(path) as file:
        tensors = {}
        for name in file.keys():  # noqa: SIM118
            part = file.get_slice(name)
            if math.prod(part.get_shape()) == 1:
                tensor = file.get_tensor(name)
            else:
                dtype = _DTYPES.get(part.get_dtype(), torch.int8)
                tensor = torch.empty(part.get_shape(), dtype=dtype, device="meta")
            tensors[name] = _checked(path, name, tensor)
        return tensors


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ReleaseError(f"{path}: no such file: download it with the release")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ReleaseError(f"{path}: no safetensors file: {error}") from None


def _checked(path: Path, name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        raise ReleaseError(
            f"{path}: {name} is no floating-point tensor: take the release's file as published"
        )
    if tensor.numel() == 1 and not tensor.isfinite().all():
        raise ReleaseError(f"{path}: {name} is not finite: the file is damaged, download it again")
    return tensor
