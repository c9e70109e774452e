"""Reading released weights: MedImageInsight's and RAD-DINO's files, under our names."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.study.encoders import Mi2, RadDino

Tensors = dict[str, Tensor]
Rules = tuple[tuple[str, str], ...]

MEDIMAGEINSIGHT: Rules = (
    (r"^image_encoder\.convs\.0\.proj\.", "image.stem.conv."),
    (r"^image_encoder\.convs\.0\.norm\.", "image.stem.norm."),
    (r"^image_encoder\.convs\.(\d+)\.proj\.", r"image.stages.\1.downsample.conv."),
    (r"^image_encoder\.convs\.(\d+)\.norm\.", r"image.stages.\1.downsample.norm."),
    (r"^image_encoder\.blocks\.(\d+)\.(\d+)\.", r"image.stages.\1.blocks.\2."),
    (r"^image_encoder\.norms\.", "image.head.norm."),
    (r"\.conv([12])\.fn\.dw\.", r".cpe\1.proj."),
    (r"\.(?:window|channel)_attn\.norm\.", ".norm1."),
    (r"\.(?:window|channel)_attn\.fn\.", ".attn."),
    (r"\.ffn\.norm\.", ".norm2."),
    (r"\.ffn\.fn\.net\.", ".mlp."),
    (r"^lang_encoder\.resblocks\.", "text.transformer.resblocks."),
    (r"^lang_encoder\.", "text."),
    (r"^image_projection$", "projection.image"),
    (r"^lang_projection$", "projection.text"),
)
"""MedImageInsight's parameter names to ours, applied in this order."""

DINOV2: Rules = ((r"^(?!mask_token$)", "image."),)
"""Names of the original DINOv2 code (`backbone_compatible.safetensors`), which are timm's."""

TRANSFORMERS: Rules = (
    (r"^embeddings\.mask_token$", "mask_token"),
    (r"^embeddings\.cls_token$", "image.cls_token"),
    (r"^embeddings\.position_embeddings$", "image.pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "image.patch_embed.proj."),
    (r"^encoder\.layer\.(\d+)\.", r"image.blocks.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"^layernorm\.", "image.norm."),
)
"""Names of transformers' `Dinov2Model` (`model.safetensors`); query, key and value are joined."""


_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Floating-point types, as safetensors names them."""


class ReleaseError(ValueError):
    """Released weights that are missing or cannot be read."""


def read_release(encoder: Mi2 | RadDino, path: Path, *, headers_only: bool = False) -> EncoderFile:
    """Released weights as float32 tensors under the names of an encoder file.

    Args:
        encoder: the study's section, for the file's metadata.
        path: MI2: MedImageInsight's file of both towers (a safetensors file, although it is
            published as `.pt`). RAD-DINO: the folder with `backbone_compatible.safetensors`, or
            `model.safetensors`, and `dino_head.safetensors`.
        headers_only: read names, shapes and single numbers only; the tensors have no storage.

    Raises:
        ReleaseError: if a file is missing or no safetensors file, or a tensor is not of floating
            point or a single number not finite.
    """
    load = _load_headers if headers_only else _load
    if isinstance(encoder, Mi2):
        tensors = _renamed(load(path), MEDIMAGEINSIGHT)
        if "logit_scale" in tensors:
            tensors["logit_scale"] = tensors["logit_scale"].reshape(())
    else:
        original = path / "backbone_compatible.safetensors"
        if original.is_file():
            tensors = _renamed(load(original), DINOV2)
        else:
            tensors = _renamed(_with_joined_qkv(load(path / "model.safetensors")), TRANSFORMERS)
        head = load(path / "dino_head.safetensors")
        tensors |= {f"head.{name}": tensor for name, tensor in head.items()}
    return EncoderFile(encoder, {name: tensor.float() for name, tensor in tensors.items()})


def _load(path: Path) -> Tensors:
    with _opened(path) as file:
        return {name: _checked(path, name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def _load_headers(path: Path) -> Tensors:
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
        why = (
            " (DINOv2 collapses when it is continued without its trained head)"
            if path.name == "dino_head.safetensors"
            else ""
        )
        raise ReleaseError(f"{path}: no such file{why}: download it with the release")
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


def _renamed(tensors: Tensors, rules: Rules) -> Tensors:
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _with_joined_qkv(tensors: Tensors) -> Tensors:
    joined = dict(tensors)
    for name in tensors:
        if ".attention.attention.query." in name:
            parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
            joined[name.replace(".query.", ".qkv.")] = torch.cat([joined.pop(p) for p in parts])
    return joined
