"""The single view of an image on which paradigms other than DINOv2 train."""

import numpy as np

from radscale_lib.pretrain import augment
from radscale_lib.pretrain.trivial import trivial_augment
from radscale_lib.shards.codec import Grey
from radscale_lib.study.paradigms.supervised import Supervised
from radscale_lib.study.paradigms.unicl import Unicl


def random_view(
    rng: np.random.Generator, image: Grey, side: int, recipe: Unicl | Supervised, middle: float
) -> Grey:
    """A random crop with random grey levels, sometimes with a rectangle erased.

    Args:
        rng: source of randomness.
        image: [H, W].
        side: of the view, pixels.
        recipe: area of the crop, and strengths of the augmentations.
        middle: the grey about which contrast changes and with which rectangles are erased, in [0,
        1].
    """
    view = augment.random_crop(rng, image, side, recipe.crop_scale)
    if recipe.trivial_augment:
        view = trivial_augment(rng, view)
    else:
        view = augment.random_intensity(rng, view, recipe.intensity, middle)
    if rng.random() < recipe.erase:
        view = augment.random_erase(rng, view, middle)
    return view
