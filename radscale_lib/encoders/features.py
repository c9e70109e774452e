"""The interface of image towers: a global embedding and four levels of feature maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from radscale_lib.encoders.prepare import to_input
from radscale_lib.study.encoders import EncoderSection


@dataclass(frozen=True)
class Features:
    """Features of a batch of images.

    Attributes:
        global_: [B, D]: the class token after the final norm (ViT), the mean over the last stage
            after its norm (DaViT), or the embedding of a library's model.
        levels: four maps [B, C, H, W], from shallow to deep. ViT: the blocks at a quarter, half,
            three quarters and the whole of the depth, each after the final norm, all of one size.
            DaViT and other pyramids: their four stages, at strides 4, 8, 16 and 32.
    """

    global_: Tensor
    levels: tuple[Tensor, Tensor, Tensor, Tensor]


class Tower(nn.Module):
    """An image tower: a global embedding and four levels of feature maps.

    Attributes:
        encoder: the study section from which the tower was built.
    """

    encoder: EncoderSection

    def recompute(self) -> None:
        """Recompute activations in backward passes, block by block (arXiv 1604.06174).

        Raises:
            ValueError: if this tower cannot.
        """
        raise ValueError(f"a {self.encoder.kind} encoder cannot recompute activations")

    def compile_blocks(self) -> None:
        """Have torch compile the blocks, or the whole tower, at their next use.

        Each shape is compiled separately: code must not depend on earlier shapes, so that a resumed
        run has the same code.
        """
        self.compile(dynamic=False)

    def prepare(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Stored grey images, uint8 [H, W] each, as the tower's input: float32 [B, 1, S, S]."""
        return to_input(images, self.encoder)

    def forward(self, images: Tensor) -> Tensor:
        """Global embedding [B, D] of grey images: float32 [B, 1, S, S] in [0, 1]."""
        return self.levels(images).global_

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        raise NotImplementedError
