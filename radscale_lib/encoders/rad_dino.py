"""RAD-DINO: its image tower, and its released files."""

from collections.abc import Callable
from pathlib import Path

import torch

from radscale_lib.encoders.release import Rules, Tensors, renamed
from radscale_lib.encoders.vit import VitTower
from radscale_lib.study.encoders.rad_dino import RadDino

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


def build_tower(section: RadDino) -> VitTower:
    """The image tower with random weights."""
    return VitTower(section)


def read_release(section: RadDino, path: Path, load: Callable[[Path], Tensors]) -> Tensors:
    """A folder with `backbone_compatible` or `model`, and `dino_head` if any, as `.safetensors`.

    Args:
        section: not needed.
        path: the folder.
        load: reads a safetensors file.

    Raises:
        ReleaseError: if a file cannot be read.
    """
    original = path / "backbone_compatible.safetensors"
    if original.is_file():
        tensors = renamed(load(original), DINOV2)
    else:
        tensors = renamed(_with_joined_qkv(load(path / "model.safetensors")), TRANSFORMERS)
    head = path / "dino_head.safetensors"
    if not head.is_file():
        return tensors
    return tensors | {f"head.{name}": tensor for name, tensor in load(head).items()}


def _with_joined_qkv(tensors: Tensors) -> Tensors:
    joined = dict(tensors)
    for name in tensors:
        if ".attention.attention.query." in name:
            parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
            joined[name.replace(".query.", ".qkv.")] = torch.cat([joined.pop(p) for p in parts])
    return joined
