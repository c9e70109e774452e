"""What every image tower gives: a global embedding and four levels of feature maps."""

from dataclasses import dataclass

from torch import Tensor, nn

from radscale_lib.study.encoders import EncoderSection


@dataclass(frozen=True)
class Features:
    """Features of a batch of images.

    Attributes:
        global_: [B, D]: the class token after the final norm (ViT), or the mean over the last
            stage after its norm (DaViT).
        levels: four maps [B, C, H, W], from shallow to deep. ViT: the blocks at a quarter, half,
            three quarters and the whole of the depth, each after the final norm, all of one size.
            DaViT: its four stages, at strides 4, 8, 16 and 32.
    """

    global_: Tensor
    levels: tuple[Tensor, Tensor, Tensor, Tensor]


class Tower(nn.Module):
    """An image tower: a pooled embedding, and the four-level interface.

    Attributes:
        encoder: the study section that the tower was built from.
    """

    encoder: EncoderSection

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        raise NotImplementedError
