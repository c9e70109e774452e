"""Common parts of all decoders: standardised levels, sub-pixel output, and the loss."""

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from radscale_lib.study.decoders import DecoderSection

FIRST_LOGIT = -3.0
"""Initial probability: tubes cover a few hundredths of an image, not half of it."""


class MaskDecoder(nn.Module):
    """Masks from four levels, with a body built by the kind of decoder.

    Levels are standardised per channel (batch statistics, no scale or shift, as in linear
    probing: He et al. 2022). The body makes maps on the finest grid; each of its cells then
    predicts the block of pixels that it covers (sub-pixel output, Shi et al. 2016). The same
    decoder reads the equal grids of a ViT and the halving grids of a hierarchical encoder.
    """

    def __init__(
        self,
        section: DecoderSection,
        channels: Sequence[int],
        grid: int,
        classes: int,
        output_size: int,
    ) -> None:
        """Build the decoder.

        Args:
            section: kind and settings of its body.
            channels: channels of the four levels.
            grid: side of the finest grid.
            classes: masks predicted.
            output_size: side of the masks, pixels.
        """
        super().__init__()
        self.output_size = output_size
        self.block = -(-output_size // grid)
        self.standardise = nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in channels)
        kind = import_module(section.implementation)
        self.body: nn.Module = kind.build(section, channels, grid, classes * self.block**2)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits [B, classes, output_size, output_size] from four levels [B, C, H, W]."""
        standardised = [one(level) for one, level in zip(self.standardise, levels, strict=True)]
        blocks = F.pixel_shuffle(self.body(standardised), self.block)
        return resize(blocks, self.output_size) + FIRST_LOGIT


def resize(maps: Tensor, size: int) -> Tensor:
    """Resize square maps [B, C, H, H] to [B, C, size, size] bilinearly.

    Computed as products with a fixed matrix, whose gradient is deterministic on any device, unlike
    that of torch's interpolation.
    """
    side = maps.shape[-1]
    if side == size:
        return maps
    basis = torch.eye(side, device=maps.device, dtype=maps.dtype)[None]
    return _along_both(maps, F.interpolate(basis, size, mode="linear", align_corners=False)[0].T)


def pool(maps: Tensor, size: int) -> Tensor:
    """Average square maps [B, C, H, H] to [B, C, size, size], like `adaptive_avg_pool2d`.

    Computed as products with a fixed matrix, for the same reason as in `resize`.
    """
    basis = torch.eye(maps.shape[-1], device=maps.device, dtype=maps.dtype)[None]
    return _along_both(maps, F.adaptive_avg_pool1d(basis, size)[0].T)


def _along_both(maps: Tensor, matrix: Tensor) -> Tensor:
    columns = F.linear(maps, matrix).transpose(-2, -1)
    return F.linear(columns, matrix).transpose(-2, -1)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice loss.

    Soft Dice of a class over the whole batch: (2 sum p t + 1) / (sum p + sum t + 1), p the
    predicted probability, t the mask; the loss takes 1 minus its mean over classes. Summing over
    the batch keeps images without a tube in the loss.

    Args:
        logits: [B, classes, H, W].
        masks: the same shape, 0 to 1.
    """
    probabilities = logits.sigmoid()
    intersection = (probabilities * masks).sum((0, 2, 3))
    total = probabilities.sum((0, 2, 3)) + masks.sum((0, 2, 3))
    soft_dice = (2 * intersection + 1) / (total + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + 1 - soft_dice.mean()
