"""Batches of multi-crops with masks."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from radscale_lib.pretrain import augment
from radscale_lib.pretrain.data import ImageSource, Loaded, Share
from radscale_lib.pretrain.masks import block_mask, mask_counts
from radscale_lib.pretrain.randomness import Purpose, generator
from radscale_lib.shards.codec import Grey
from radscale_lib.study.encoders.rad_dino import Vit
from radscale_lib.study.paradigms.dinov2 import Dinov2

GLOBAL_CROPS = 2
JITTERED = 0.8
"""Share of crops whose brightness and contrast change (DINO's colour jitter)."""


class Dinov2Batches(Dataset[dict[str, Tensor]]):
    """Item `step` has the crops and masks of a share of B images, crop by crop.

    `global` uint8 [2 B, 1, S, S], `local` uint8 [L B, 1, s, s] (absent without local crops), `mask`
    bool [2 B, patches].
    """

    def __init__(self, source: ImageSource, image: Vit, recipe: Dinov2, share: Share) -> None:
        """Crop the images of `source`."""
        self._source = source
        self._image = image
        self._recipe = recipe
        self._share = share

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        crops = [self._crops(loaded) for loaded in self._source.step(self._share, step)]
        batch = {
            "global": _by_crop([views for views, _ in crops]),
            "mask": torch.from_numpy(self._masks(step)),
        }
        if self._recipe.local_crops:
            batch["local"] = _by_crop([views for _, views in crops])
        return batch

    def _crops(self, loaded: Loaded) -> tuple[list[Grey], list[Grey]]:
        rng = generator(self._share.seed, Purpose.AUGMENT, loaded.epoch, loaded.key)
        side, grey = self._image.image_size, self._image.mean
        return multi_crop(rng, loaded.pixels, side, self._recipe, grey)

    def _masks(self, step: int) -> NDArray[np.bool_]:
        """Masks of the share's global crops: bool [2 B, patches]."""
        share, recipe = self._share, self._recipe
        side = self._image.image_size // self._image.patch
        rng = generator(share.seed, Purpose.MASK, step)
        counts = mask_counts(
            rng, GLOBAL_CROPS * share.batch, side * side, recipe.mask_probability, recipe.mask_ratio
        )
        masks = []
        for crop in range(GLOBAL_CROPS):
            for position in share.positions:
                place = crop * share.batch + position
                rng = generator(share.seed, Purpose.MASK, step, 1 + place)
                masks.append(block_mask(rng, side, side, int(counts[place])).ravel())
        return np.stack(masks)


def multi_crop(
    rng: np.random.Generator, image: Grey, side: int, recipe: Dinov2, middle: float
) -> tuple[list[Grey], list[Grey]]:
    """DINOv2's crops of an image: two global ones of `side` pixels, and the recipe's local ones.

    Args:
        rng: source of randomness.
        image: [H, W].
        side: side of the global crops, pixels.
        recipe: sizes, areas, and strengths of the augmentations.
        middle: the grey about which contrast changes, in [0, 1].
    """
    first, second, local = recipe.blurs

    def view(size: int, area: tuple[float, float], blurred: float, solarised: float = 0) -> Grey:
        crop = augment.random_crop(rng, image, size, area)
        jitter, blur = rng.random(2)
        if jitter < JITTERED:
            crop = augment.random_intensity(rng, crop, recipe.intensity, middle)
        if blur < blurred:
            crop = augment.random_blur(rng, crop)
        if solarised and rng.random() < solarised:
            crop = augment.solarise(crop)
        return crop

    wide = [
        view(side, recipe.global_scale, first),
        view(side, recipe.global_scale, second, recipe.solarise),
    ]
    narrow = [view(recipe.local_size, recipe.local_scale, local) for _ in range(recipe.local_crops)]
    return wide, narrow


def _by_crop(views: list[list[Grey]]) -> Tensor:
    """[images][crops] of [S, S] -> [crops * images, 1, S, S]."""
    stack = np.stack([np.stack(crops) for crops in zip(*views, strict=True)])
    return torch.from_numpy(stack.reshape(-1, 1, *stack.shape[2:]))
