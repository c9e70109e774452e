"""Prepared images and points."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.encoders.prepare import map_points, prepare_one, to_input
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino

STRETCH = Mi2.model_validate({"kind": "mi2", "image": {"image_size": 48, "window": 4}})
CROP = RadDino.model_validate({"kind": "rad-dino", "image": {"image_size": 48, "patch": 8}})


@pytest.mark.parametrize("encoder", [STRETCH, CROP])
@given(
    height=st.integers(40, 120),
    width=st.integers(40, 120),
    x=st.floats(0.2, 0.8),
    y=st.floats(0.2, 0.8),
)
def test_points_follow_their_pixels(
    encoder: Mi2 | RadDino, height: int, width: int, x: float, y: float
) -> None:
    column, row = int(x * (width - 1)), int(y * (height - 1))
    grid_y, grid_x = np.mgrid[:height, :width]
    blob = np.exp(-((grid_x - column) ** 2 + (grid_y - row) ** 2) / 18)
    image = (250 * blob).astype(np.uint8)
    place = map_points([[column, row]], height, width, encoder)[0]
    prepared = prepare_one(image, encoder).astype(float)
    assert prepared.shape == (48, 48)
    if (np.abs(place - 0.5) > 0.35).any():  # the blob is cut by RAD-DINO's crop
        return
    weights = np.where(prepared > 60, prepared, 0)
    centre = [(weights.sum(axis=axis) @ np.arange(48)) / weights.sum() for axis in (0, 1)]
    np.testing.assert_allclose((np.array(centre) + 0.5) / 48, place, atol=0.6 / 48)


def test_corners() -> None:
    corners = [[-0.5, -0.5], [99.5, 49.5]]
    np.testing.assert_allclose(map_points(corners, 50, 100, STRETCH), [[0, 0], [1, 1]])
    # 50 x 100 becomes 48 x 96, then columns 24 to 71 are kept.
    np.testing.assert_allclose(map_points(corners, 50, 100, CROP), [[-0.5, 0], [1.5, 1]])
    assert map_points([], 50, 100, CROP).shape == (0, 2)


def test_native_images_are_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 60), np.uint8)
    np.testing.assert_array_equal(prepare_one(image, CROP), image[:, 6:54])
    batch = to_input([image, image[:, :48]], CROP)
    assert batch.dtype == torch.float32
    assert batch.shape == (2, 1, 48, 48)
    np.testing.assert_allclose(batch[1, 0] * 255, image[:, :48], atol=1e-4)


def test_resizing_is_that_of_the_releases() -> None:
    """torchvision's Resize on a PIL image, bicubic: what MI2's released code applies."""
    from PIL import Image
    from torchvision.transforms import InterpolationMode, Resize

    image = np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8)
    resize = Resize((48, 48), interpolation=InterpolationMode.BICUBIC)
    np.testing.assert_array_equal(prepare_one(image, STRETCH), resize(Image.fromarray(image)))
