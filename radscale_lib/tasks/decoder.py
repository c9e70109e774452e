"""Pyramid decoder: masks from the four feature levels of a frozen encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST_LOGIT = -3.0
"""Tubes cover a few hundredths of an image: training starts there, not at one half."""


class PyramidDecoder(nn.Module):
    """Feature pyramid (Lin et al. 2017) with sub-pixel output (Shi et al. 2016).

    Levels are standardised per channel (batch statistics, no scale or shift, as in linear
    probing: He et al. 2022), projected to a common width, brought to the finest grid, summed and
    mixed by one convolution; each cell of that grid then predicts the block of pixels it covers.
    The same decoder reads the equal grids of a ViT and the halving grids of a hierarchical
    encoder, and nothing larger than the finest grid is convolved. It is kept shallow so that the
    score measures the encoder.
    """

    def __init__(
        self, channels: Sequence[int], grid: int, width: int, classes: int, output_size: int
    ) -> None:
        """Build the decoder.

        Args:
            channels: channels of the four levels.
            grid: side of the finest grid.
            width: channels of the pyramid.
            classes: masks predicted.
            output_size: side of the masks, pixels.
        """
        super().__init__()
        self.grid = grid
        self.output_size = output_size
        self.block = -(-output_size // grid)
        self.standardise = nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in channels)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.mix = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )
        self.pixels = nn.Conv2d(width, classes * self.block**2, 1)
        nn.init.constant_(self.pixels.get_parameter("bias"), FIRST_LOGIT)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits [B, classes, output_size, output_size] from four levels [B, C, H, W]."""
        summed = torch.stack(
            [
                resize(lateral(standardise(level)), self.grid)
                for level, standardise, lateral in zip(
                    levels, self.standardise, self.lateral, strict=True
                )
            ]
        ).sum(0)
        logits = F.pixel_shuffle(self.pixels(self.mix(summed)), self.block)
        return resize(logits, self.output_size)


def resize(maps: Tensor, size: int) -> Tensor:
    """Square maps [B, C, H, H] brought to [B, C, size, size] bilinearly.

    As products with a fixed matrix, whose gradient is deterministic on any device (that of torch's
    interpolation is not).
    """
    side = maps.shape[-1]
    if side == size:
        return maps
    basis = torch.eye(side, device=maps.device, dtype=maps.dtype)[None]
    along = F.interpolate(basis, size, mode="linear", align_corners=False)[0].T
    columns = F.linear(maps, along).transpose(-2, -1)
    return F.linear(columns, along).transpose(-2, -1)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice loss.

    Soft Dice of a class over the whole batch: (2 sum p t + 1) / (sum p + sum t + 1), p the
    predicted probability, t the mask; the loss takes 1 minus its mean over classes. Summing over
    the batch keeps images without a tube in the loss.

    Args:
        logits: [B, classes, H, W].
        masks: the same shape, 0 or 1.
    """
    probabilities = logits.sigmoid()
    intersection = (probabilities * masks).sum((0, 2, 3))
    total = probabilities.sum((0, 2, 3)) + masks.sum((0, 2, 3))
    soft_dice = (2 * intersection + 1) / (total + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + 1 - soft_dice.mean()
