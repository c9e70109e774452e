"""RAD-DINO: its image tower, and its released files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from radscale_lib.encoders.library import check_finite, read_state_dict, tell
from radscale_lib.encoders.release import Lazy, Rules, Tensors, load_headers, renamed
from radscale_lib.encoders.vit import VitTower
from radscale_lib.study.encoders.rad_dino import IBOT, RadDino

TEACHER: Rules = (
    (r"^backbone\.mask_token$", "mask_token"),
    (r"^backbone\.", "image."),
    (r"^image\.blocks\.\d+\.(\d+)\.", r"image.blocks.\1."),
    (r"^dino_head\.", "head."),
    (r"\.last_layer\.parametrizations\.weight\.original0$", ".last_layer.weight_g"),
    (r"\.last_layer\.parametrizations\.weight\.original1$", ".last_layer.weight_v"),
)
"""Names in `teacher_checkpoint.pth` from DINOv2's training, where blocks may be in chunks."""

DINOV2: Rules = ((r"^(?!mask_token$)", "image."),)
"""Names in the original DINOv2 code (`backbone_compatible.safetensors`), which are timm's."""

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
"""Names in transformers' `Dinov2Model` (`model.safetensors`); query, key and value are joined."""


def build_tower(section: RadDino) -> VitTower:
    """The image tower with random weights."""
    return VitTower(section)


def read_release(section: RadDino, path: Path, load: Callable[[Path], Tensors]) -> Tensors:
    """A folder with `backbone_compatible` or `model`, and `dino_head` if any, as `.safetensors`.

    Also reads `teacher_checkpoint.pth` from DINOv2's training, by itself or in the folder. Its
    separate iBOT head is kept if it has the DINO head's sizes, since a study states only one set of
    sizes.

    Args:
        section: not used.
        path: the folder, or the checkpoint.
        load: reads a safetensors file.

    Raises:
        ReleaseError: if a file cannot be read.
    """
    teacher = path if path.is_file() else path / "teacher_checkpoint.pth"
    if teacher.is_file():
        headers_only = load is load_headers
        weights = read_state_dict(teacher, headers_only=headers_only)
        check_finite(str(teacher), weights)
        tensors = renamed(weights, TEACHER)
        sizes = [
            {name[len(part) :]: x.shape for name, x in tensors.items() if name.startswith(part)}
            for part in (IBOT, "head.")
        ]
        if sizes[0] and sizes[0] != sizes[1]:
            tell(f"{teacher}: the iBOT head is left out: it has other sizes than the DINO head")
            return tensors.without(*(name for name in tensors if name.startswith(IBOT)))
        return tensors
    original = path / "backbone_compatible.safetensors"
    if original.is_file():
        tensors = renamed(load(original), DINOV2)
    else:
        tensors = renamed(_with_joined_qkv(load(path / "model.safetensors")), TRANSFORMERS)
    head = path / "dino_head.safetensors"
    if not head.is_file():
        return tensors
    return tensors | renamed(load(head), ((r"^", "head."),))


def _with_joined_qkv(tensors: Tensors) -> Lazy:
    joined = Lazy.of(tensors)
    for name in tensors:
        if ".attention.attention.query." in name:
            parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
            together = partial(_joined, tensors, parts)
            joined = joined.without(*parts) | Lazy({name.replace(".query.", ".qkv."): together})
    return joined


def _joined(tensors: Tensors, names: list[str]) -> Tensor:
    return torch.cat([tensors[name] for name in names])
