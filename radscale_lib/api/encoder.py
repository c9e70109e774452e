"""Load any encoder, and embed images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from radscale_lib.api.film import read_image
from radscale_lib.embedding.table import features_of
from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.loading import load
from radscale_lib.shards.codec import as_8_bits
from radscale_lib.study.encoders import EncoderSection

BATCH = 16


def load_encoder(spec: str | Path | EncoderSection, device: str = "cpu") -> Tower:
    """Load an image encoder with its preprocessing, in evaluation mode, without gradients.

    `tower.prepare(images)` makes its input of grey images, uint8 [H, W] each; `tower(inputs)` is
    the global embedding [B, D]; `tower.levels(inputs)` has the four feature levels, too.

    Args:
        spec: the `encoder.safetensors` of a run; a folder in the form of transformers, timm or
            open_clip; `timm:NAME[,weights=PATH]` or `open_clip:NAME[,weights=PATH]`; or an
            encoder of a study, as `study.settings.encoders["mi2"]`.
        device: torch device.

    Raises:
        InputError: if there is no such encoder, or its weights are missing, unreadable, or of
            another architecture.

    Example:
        >>> import radscale_lib
        >>> study = radscale_lib.open_study("study.yaml")
        >>> tower = radscale_lib.load_encoder(study.encoder("rad-dino", size=16))
        >>> tower.encoder.kind, tower.encoder.image_size
        ('rad-dino', 32)
        >>> film = radscale_lib.read_dicom("film.dcm")
        >>> features = tower.levels(tower.prepare([film]))
        >>> [tuple(level.shape) for level in features.levels][-1]
        (1, 16, 4, 4)
    """
    return load(spec).to(device)


def embed_images(
    images: Sequence[NDArray[np.uint8] | NDArray[np.uint16] | str | Path],
    encoder: Tower | str | Path,
    batch: int = BATCH,
) -> NDArray[np.float32]:
    """Embed images, in their order.

    Args:
        images: grey images [H, W] of any sizes, uint8 or uint16, or files (`read_image`).
        encoder: from `load_encoder`, or any argument that it takes.
        batch: images per forward pass.

    Returns:
        Global embeddings, float32 [N, D].

    Raises:
        RefusedError: if a file cannot be read.
        ValueError: without images.

    Example:
        >>> import radscale_lib
        >>> study = radscale_lib.open_study("study.yaml")
        >>> tower = radscale_lib.load_encoder(study.encoder("mi2-reports", size=16))
        >>> film = radscale_lib.read_dicom("film.dcm")
        >>> radscale_lib.embed_images(["film.dcm", film], tower).shape
        (2, 16)
    """
    if not len(images):
        raise ValueError("no images to embed")
    tower = encoder if isinstance(encoder, Tower) else load_encoder(encoder)
    parts = []
    for start in range(0, len(images), batch):
        read = [
            as_8_bits(read_image(each) if isinstance(each, str | Path) else each)
            for each in images[start : start + batch]
        ]
        parts.append(features_of(tower, read).global_)
    embeddings: NDArray[np.float32] = torch.cat(parts).numpy()
    return embeddings
