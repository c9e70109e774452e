"""RAD-DINO's image tower: a ViT in DINOv2's form (arXiv 2304.07193)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_lib.encoders.features import Features, Tower
from radscale_lib.encoders.layers import Attention, Mlp, draw_linear_weights, draw_weights, run
from radscale_lib.study.encoders.rad_dino import RadDino

EPSILON = 1e-6
"""Epsilon of the norms."""


class VitTower(Tower):
    """A ViT with a class token, LayerScale, masked patches and stochastic depth by subsets.

    Parameters, initial weights and results are those of timm's `VisionTransformer`; for this
    architecture, the names are DINOv2's own. For images whose size differs from the tower's,
    position embeddings are resampled bicubically with antialiasing, as in timm (the original's
    `interpolate_antialias`, offset 0), in training and evaluation alike.
    """

    encoder: RadDino

    def __init__(self, encoder: RadDino) -> None:
        super().__init__()
        config = encoder.image
        side = config.image_size // config.patch
        self.grid = side, side
        self.patch_embed = nn.ModuleDict(
            {"proj": nn.Conv2d(3, config.width, config.patch, stride=config.patch)}
        )
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + side * side, config.width))
        self.blocks = nn.Sequential(*(
            Block(config.width, config.heads, config.layer_scale) for _ in range(config.depth)
        ))  # fmt: skip
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        draw_weights(self.pos_embed)
        if not self.cls_token.is_meta:
            nn.init.normal_(self.cls_token, std=1e-6)
        self.apply(draw_linear_weights)
        self.encoder = encoder
        self._resampling: dict[tuple[int, int], Tensor] = {}
        self._recomputes = False
        self._branches = (_attended, _expanded)

    @property
    def width(self) -> int:
        """Channels of the global embedding."""
        return self.encoder.image.width

    def recompute(self) -> None:
        """Recompute activations in backward passes, except the last block's."""
        self._recomputes = True

    def compile_blocks(self) -> None:
        """Compile the blocks' residual branches, once for all blocks and each shape."""
        compiled = [torch.compile(branch, dynamic=False) for branch in self._branches]
        self._branches = (compiled[0], compiled[1])

    def forward(self, images: Tensor) -> Tensor:
        """Class token [B, D], after the final norm, of grey images, float32 [B, 1, S, S]."""
        return self.tokens(images)[0]

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        x, (height, width) = self._embed(images)
        depth = len(self.blocks)
        taken = {depth * quarter // 4 for quarter in range(1, 5)}
        levels = []
        for number, block in enumerate(self._blocks(), start=1):
            x = self._through(block, x)
            if number in taken:
                levels.append(self.norm(x))
        first, second, third, fourth = (
            level[:, 1:].transpose(1, 2).reshape(len(x), -1, height, width) for level in levels
        )
        return Features(levels[-1][:, 0], (first, second, third, fourth))

    def tokens(
        self,
        images: Tensor,
        mask: Tensor | None = None,
        mask_token: Tensor | None = None,
        patches: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Final tokens where needed: all class tokens, and selected patches.

        After the attention of the last block, only the needed rows are computed; they equal those
        of the whole block.

        Args:
            images: float32 [B, 1, S, S] in [0, 1].
            mask: bool [B, N]: patches whose embedding is replaced by `mask_token`.
            mask_token: [1, D].
            patches: int64 [M]: wanted patches, as indices into [B * N]; None for none.

        Returns:
            Class tokens [B, D] and patch tokens [M, D], after the final norm.
        """
        x, _ = self._embed(images, mask, mask_token)
        *blocks, last = self._blocks()
        for block in blocks:
            x = run(self._through, self._recomputes, block, x)
        batch, length, _ = x.shape
        rows = torch.arange(batch, device=x.device) * length
        if patches is not None:
            of_image = patches // (length - 1)
            rows = torch.cat([rows, patches + of_image + 1])
        x = self.norm(self._last(last, x, rows))
        return x[:batch], x[batch:]

    def _blocks(self) -> Iterable[Block]:
        return cast(Iterable[Block], self.blocks)

    def _embed(
        self, images: Tensor, mask: Tensor | None = None, mask_token: Tensor | None = None
    ) -> tuple[Tensor, tuple[int, int]]:
        config = self.encoder.image
        projection = cast(nn.Conv2d, self.patch_embed["proj"])
        # The three input channels are equal, so their weights are summed instead.
        x = F.conv2d(
            (images - config.mean) / config.std,
            projection.weight.sum(dim=1, keepdim=True),
            projection.bias,
            stride=config.patch,
        )
        batch, _, height, width = x.shape
        x = x.flatten(2).transpose(1, 2)
        if mask is not None and mask_token is not None:
            x = torch.where(mask[..., None], mask_token.to(x.dtype), x)
        x = torch.cat([self.cls_token.expand(batch, -1, -1), x], dim=1)
        return x + self._positions(height, width), (height, width)

    def _positions(self, height: int, width: int) -> Tensor:
        """Position embeddings [1, 1 + H * W, D] of a grid.

        Resampling is a product with a fixed matrix, whose gradient is deterministic on any device,
        unlike that of interpolation.
        """
        own = self.grid
        if (height, width) == own:
            return self.pos_embed
        if (height, width) not in self._resampling:
            basis = torch.eye(own[0] * own[1], device=self.pos_embed.device)
            resampled = F.interpolate(
                basis.view(-1, 1, *own), size=(height, width), mode="bicubic", antialias=True
            )
            self._resampling[height, width] = resampled.flatten(1).T
        return torch.cat(
            [self.pos_embed[:, :1], self._resampling[height, width] @ self.pos_embed[:, 1:]], dim=1
        )

    def _kept(self, batch: int, device: torch.device) -> Tensor | None:
        """Images for which a residual branch is computed; None for all (stochastic depth).

        A fixed number of images in random order, at the same rate for all blocks, as in DINOv2.
        """
        rate = self.encoder.image.drop_path
        if not (self.training and rate):
            return None
        return torch.randperm(batch, device=device)[: max(int(batch * (1 - rate)), 1)]

    def _through(self, block: Block, x: Tensor) -> Tensor:
        for branch in self._branches:
            x = self._residual(x, partial(branch, block))
        return x

    def _residual(self, x: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        kept = self._kept(len(x), x.device)
        if kept is None:
            return x + branch(x)
        change = branch(x[kept]).to(x.dtype)
        return x.index_add(0, kept, change, alpha=len(x) / len(kept))

    def _last(self, block: Block, x: Tensor, rows: Tensor) -> Tensor:
        """The last block [B, N, D] -> [rows, D] for selected rows of [B * N, D]."""
        batch, length, channels = x.shape
        scales = [self._row_scale(batch, rows // length, x.device) for _ in range(2)]
        context = block.attn.attend(block.norm1(x)).reshape(-1, channels)[rows]
        x = x.reshape(-1, channels)[rows]
        x = x + scales[0] * block.ls1.of(block.attn.proj, context)
        x = x + scales[1] * _expanded(block, x)
        return x

    def _row_scale(self, batch: int, of_image: Tensor, device: torch.device) -> Tensor | float:
        kept = self._kept(batch, device)
        if kept is None:
            return 1.0
        scale = torch.zeros(batch, 1, device=device)
        scale[kept] = batch / len(kept)
        return scale[of_image]


class Block(nn.Module):
    """Attention and an MLP, each after a norm; the tower adds their outputs."""

    def __init__(self, width: int, heads: int, layer_scale: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(heads, width)
        self.ls1 = LayerScale(width, layer_scale)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width, layer_scale)


def _attended(block: Block, x: Tensor) -> Tensor:
    """The output of a block's attention for tokens [B, N, D]."""
    return block.ls1.of(block.attn.proj, block.attn.attend(block.norm1(x)))


def _expanded(block: Block, x: Tensor) -> Tensor:
    """The output of a block's MLP for tokens [B, N, D]."""
    mlp = block.mlp
    return block.ls2.of(mlp.fc2, mlp.act(mlp.fc1(block.norm2(x))))


class LayerScale(nn.Module):
    """A learnt factor for each channel of a residual."""

    def __init__(self, width: int, first: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), first))

    def of(self, layer: nn.Linear, x: Tensor) -> Tensor:
        """layer(x) * gamma: [..., C] -> [..., D]; gamma scales the weights, which are fewer."""
        return F.linear(x, self.gamma[:, None] * layer.weight, self.gamma * layer.bias)
