"""The space shared by images and texts, for encoders with a text tower."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from radscale_lib.encoders.storage import EncoderFile, read_encoder

AT_ONCE = 256
"""Number of texts per forward pass."""


@dataclass(frozen=True)
class SharedSpace:
    """Embeddings of images and texts whose cosine measures how well they match.

    Attributes:
        embed: returns embeddings [N, P] of N texts, not normalised.
        projection: [D, P], applied to the global embedding of an image; None: no projection.
        scale: factor that turns a cosine into a logit (CLIP's inverse temperature).
    """

    embed: Callable[[Sequence[str]], Tensor]
    projection: Tensor | None
    scale: float

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [N, P] of texts; a text longer than the tower's context is truncated."""
        parts = [
            F.normalize(self.embed(texts[start : start + AT_ONCE]).float(), dim=-1).cpu().numpy()
            for start in range(0, len(texts), AT_ONCE)
        ]
        return np.concatenate(parts).astype(np.float32)

    @torch.no_grad()
    def images(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Unit vectors [N, P] of images with these global embeddings [N, D]."""
        values = torch.from_numpy(embeddings.astype(np.float32))
        if self.projection is not None:
            values = values @ self.projection.float().cpu()
        return F.normalize(values, dim=-1).numpy()


def load_shared_space(path: Path, device: str = "cpu") -> SharedSpace | None:
    """The shared space of an encoder file; None if it has no text tower.

    Args:
        path: `encoder.safetensors`.
        device: where texts are embedded.

    Raises:
        EncoderFileError: if it is not an encoder file.
    """
    content = read_encoder(path)
    module = import_module(content.encoder.implementation)
    build: Callable[[EncoderFile, str], SharedSpace] | None = getattr(module, "shared_space", None)
    return build(content, device) if build and content.part("text") else None
