"""MI2: its image tower, and MedImageInsight's released files."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from radscale_lib.encoders.davit import DavitTower
from radscale_lib.encoders.release import Rules, Tensors, renamed
from radscale_lib.encoders.shared_space import SharedSpace
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.text import TextTower, load_tokenizer
from radscale_lib.study.encoders.mi2 import Mi2

MEDIMAGEINSIGHT: Rules = (
    (r"^visual\.", "image_encoder."),
    (r"^text\.", "lang_encoder."),
    (r"^vision_projection$", "image_projection"),
    (r"^text_projection$", "lang_projection"),
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
"""From MedImageInsight's parameter names, older ones first, to ours, applied in this order."""
POSITIONS = "text.positional_embedding"


def build_tower(section: Mi2) -> DavitTower:
    """The image tower with random weights."""
    return DavitTower(section)


def read_release(section: Mi2, path: Path, load: Callable[[Path], Tensors]) -> Tensors:
    """Read MedImageInsight's file of both towers, which is safetensors despite its name `.pt`.

    Args:
        section: its text context is the length to which positions are interpolated.
        path: the file.
        load: reads a safetensors file.

    Raises:
        ReleaseError: if the file cannot be read.
    """
    tensors = renamed(load(path), MEDIMAGEINSIGHT)
    tensors = tensors.changed(lambda scale: scale.reshape(()), "logit_scale")
    return tensors.changed(partial(_interpolated, section.text.context), POSITIONS)


def shared_space(content: EncoderFile, device: str) -> SharedSpace:
    """The shared space of both towers."""
    section, parts = content.encoder, content.part("projection")
    assert isinstance(section, Mi2)
    tokenizer = load_tokenizer(section, content.tokenizer)
    with torch.device("meta"):
        tower = TextTower(section, tokenizer.size, tokenizer.end)
    tower.load_state_dict(content.part("text"), assign=True)
    tower = tower.to(device).eval().requires_grad_(False)
    projection = parts["text"].to(device)

    def embed(texts: Sequence[str]) -> Tensor:
        embeddings: Tensor = tower(tokenizer(texts).to(device)) @ projection
        return embeddings

    return SharedSpace(embed, parts["image"], float(content.tensors["logit_scale"].exp()))


def _interpolated(context: int, positions: Tensor) -> Tensor:
    """Interpolate position embeddings [L, D] -> [context, D] linearly, as MedImageInsight does."""
    if len(positions) == context:
        return positions
    along = F.interpolate(positions.float().T[None], size=context, mode="linear")
    return along[0].T.contiguous()
