"""Augmentation and masks."""

from collections.abc import Callable
from math import atan, degrees

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.transforms import functional as tv

from radscale_lib.pretrain import augment
from radscale_lib.pretrain.dinov2_data import multi_crop
from radscale_lib.pretrain.masks import block_mask, mask_counts
from radscale_lib.pretrain.trivial import OPERATIONS, SIGNED, trivial_augment
from radscale_lib.study.paradigms.dinov2 import Dinov2

seeds = st.integers(0, 10_000)


@given(
    seed=seeds,
    height=st.integers(20, 90),
    width=st.integers(20, 90),
    low=st.floats(0.05, 1),
    span=st.floats(0, 0.5),
)
def test_crops_have_the_asked_area_and_aspect(
    seed: int, height: int, width: int, low: float, span: float
) -> None:
    image = np.zeros((height, width), np.uint8)
    area = (low, min(low + span, 1.0))
    rng = np.random.default_rng(seed)
    top, left, rows, columns = augment._rectangle(rng, image, area, augment.ASPECT)
    assert 0 <= top <= height - rows
    assert 0 <= left <= width - columns
    assert 0.7 < columns / rows < 1.45  # 3/4 to 4/3, in whole pixels of sides from 4
    fits = augment.ASPECT[0] < width / height < augment.ASPECT[1]
    if fits and low < 0.5:  # else the largest centred rectangle may have been taken
        edge = (rows + columns) / (height * width)
        assert low - edge <= rows * columns / (height * width) <= area[1] + edge


def test_a_whole_crop_is_the_resized_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    view = augment.random_crop(np.random.default_rng(3), image, 40, (1.0, 1.0))
    assert view.shape == (40, 40)
    exact = [
        np.array_equal(augment.random_crop(np.random.default_rng(s), image, 40, (1, 1)), image)
        for s in range(20)
    ]
    assert any(exact)


@pytest.mark.parametrize("size", [24, 40, 90])
def test_a_crop_is_resized_as_evaluation_resizes(size: int) -> None:
    """Pillow's bicubic with antialiasing, as torchvision's transforms of released encoders."""
    image = np.random.default_rng(1).integers(0, 256, (70, 60), np.uint8)
    for seed in range(5):
        drawn = augment._rectangle(np.random.default_rng(seed), image, (0.2, 1.0), augment.ASPECT)
        top, left, height, width = drawn
        part = Image.fromarray(image[top : top + height, left : left + width])
        expected = np.asarray(tv.resize(part, [size, size], tv.InterpolationMode.BICUBIC))
        view = augment.random_crop(np.random.default_rng(seed), image, size, (0.2, 1.0))
        assert np.array_equal(view, expected) and view.flags.writeable


def test_crops_shrink_without_aliasing() -> None:
    """A pattern finer than the crop's pixels averages to grey instead of stripes."""
    stripes = np.tile(np.array([0, 255], np.uint8), (256, 128))
    view = augment.random_crop(np.random.default_rng(0), stripes, 32, (0.9, 1.0))
    assert view.std() < 12
    assert abs(view.mean() - 127.5) < 3


def test_crops_are_those_of_torchvision() -> None:
    """Positions and sizes are distributed as RandomResizedCrop's (a two-sample test)."""
    import torch
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = np.zeros((60, 70), np.uint8)
    rng = np.random.default_rng(0)
    ours = [augment._rectangle(rng, image, (0.3, 1.0), augment.ASPECT) for _ in range(4000)]
    blank = torch.zeros(1, 60, 70)
    theirs = [
        RandomResizedCrop.get_params(blank, [0.3, 1.0], list(augment.ASPECT)) for _ in range(4000)
    ]
    a, b = np.array(ours, float), np.array(theirs, float)
    error = np.abs(a.mean(0) - b.mean(0)) / np.sqrt((a.var(0) + b.var(0)) / 4000)
    assert (error < 4).all()
    np.testing.assert_allclose(a.std(0), b.std(0), rtol=0.06)


def test_intensity_is_brightness_then_contrast() -> None:
    rng = np.random.default_rng(5)
    brightness, contrast = np.random.default_rng(5).uniform(0.6, 1.4, 2)
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.clip(
        (np.clip(np.arange(256) * brightness, 0, 255) - 0.5 * 255) * contrast + 0.5 * 255, 0, 255
    )
    view = augment.random_intensity(rng, image, 0.4, 0.5)
    assert np.abs(view.ravel() - expected).max() <= 0.5 + 1e-3
    unchanged = augment.random_intensity(rng, image, 0.0, 0.5)
    np.testing.assert_array_equal(unchanged, image)


def test_blur_scales_with_the_side() -> None:
    def width_of(side: int) -> float:
        image = np.zeros((side, side), np.uint8)
        image[:, side // 2 :] = 255
        view = augment.random_blur(np.random.default_rng(1), image).astype(float)
        slope = np.diff(view[side // 2])
        return float(255 / slope.max() / side)

    assert width_of(448) == pytest.approx(width_of(896), rel=0.15)


def test_solarised_greys() -> None:
    """As Pillow's, which DINOv2's own code uses."""
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = ImageOps.solarize(Image.fromarray(image))
    np.testing.assert_array_equal(augment.solarise(image), np.asarray(expected))


def test_crops_are_blurred_and_solarised_by_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """DINOv2's: the first global crop always blurred, the second at times inverted, no other."""
    done: list[str] = []
    for name in ("random_crop", "random_blur", "solarise"):
        real = getattr(augment, name)
        monkeypatch.setattr(augment, name, lambda *a, f=real, n=name: (done.append(n), f(*a))[1])
    common = {"paradigm": "dinov2", "optimiser": {"samples": 8, "batch": 8, "lr": 1e-3}}
    recipe = Dinov2(**common, local_crops=2, local_size=16, blur=(1.0, 0.1, 0.5), solarise=0.2)
    assert Dinov2(**common).blurs == (0.5, 0.5, 0.5)
    image = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    counts = {"random_blur": np.zeros(4), "solarise": np.zeros(4)}
    for seed in range(400):
        done.clear()
        multi_crop(np.random.default_rng(seed), image, 32, recipe, 0.5)
        place = -1
        for name in done:
            if name == "random_crop":
                place += 1
            else:
                counts[name][place] += 1
    assert counts["random_blur"] == pytest.approx([400, 40, 200, 200], abs=45)
    assert counts["random_blur"][0] == 400
    assert counts["solarise"] == pytest.approx([0, 80, 0, 0], abs=30)
    assert counts["solarise"][[0, 2, 3]].sum() == 0


def sheared(image: Image.Image, *angles: float) -> Image.Image:
    return tv.affine(image, 0, [0, 0], 1, list(angles), center=[0, 0])


TRIVIAL: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "shear_x": lambda i, by: sheared(i, degrees(atan(0.99 * by)), 0),
    "shear_y": lambda i, by: sheared(i, 0, degrees(atan(0.99 * by))),
    "translate_x": lambda i, by: tv.affine(i, 0, [round(by * 9), 0], 1, [0, 0]),
    "translate_y": lambda i, by: tv.affine(i, 0, [0, round(by * 9)], 1, [0, 0]),
    "rotate": lambda i, by: tv.rotate(i, 135 * by),
    "brightness": lambda i, by: tv.adjust_brightness(i, 1 + 0.99 * by),
    "contrast": lambda i, by: tv.adjust_contrast(i, 1 + 0.99 * by),
    "sharpness": lambda i, by: tv.adjust_sharpness(i, 1 + 0.99 * by),
    "posterise": lambda i, by: tv.posterize(i, 8 - round(6 * by)),
    "solarise": lambda i, by: tv.solarize(i, 255 * (1 - by)),
    "autocontrast": lambda i, by: tv.autocontrast(i),
    "equalise": lambda i, by: tv.equalize(i),
}


@pytest.mark.parametrize("name", TRIVIAL)
def test_operations_are_those_of_torchvision(name: str) -> None:
    """On Pillow's images; where a pixel lies between two, either may be taken."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(20, 230, (63, 63), np.uint8), (0, 0), 1.5)
    geometric = name in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
    for by in (0.0, 0.2, 0.5, 1.0, *((-0.3, -1.0) if name in SIGNED else ())):
        found = OPERATIONS[name](image, by).astype(int)
        theirs = np.asarray(TRIVIAL[name](Image.fromarray(image), by)).astype(int)
        off = np.abs(found - theirs)
        if geometric:
            assert (off > 2).mean() < 0.04, (by, (off > 2).mean())
        else:
            assert off.max() <= 1, (by, off.max())


def test_one_operation_at_random() -> None:
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(20, 230, (32, 32), np.uint8), (0, 0), 1.5
    )
    before = image.copy()
    views = [trivial_augment(np.random.default_rng(seed), image) for seed in range(300)]
    assert np.array_equal(image, before)
    assert {(view.shape, view.dtype.name) for view in views} == {((32, 32), "uint8")}
    same = np.mean([np.array_equal(view, image) for view in views])
    assert 1 / 13 < same < 0.3  # identity, and operations of no strength
    assert np.array_equal(views[5], trivial_augment(np.random.default_rng(5), image))


@given(seed=seeds)
def test_erasing(seed: int) -> None:
    image = np.full((50, 60), 200, np.uint8)
    view = augment.random_erase(np.random.default_rng(seed), image, 0.5)
    share = (view == 128).mean()
    assert set(np.unique(view)) <= {128, 200}
    assert 0.01 < share < 0.36


def test_opencv_uses_one_thread() -> None:
    assert cv2.getNumThreads() == 1


@given(seed=seeds, side=st.sampled_from([1, 2, 4, 8, 37]), share=st.floats(0, 1))
def test_masks_have_the_asked_size(seed: int, side: int, share: float) -> None:
    count = int(share * side * side)
    mask = block_mask(np.random.default_rng(seed), side, side, count)
    assert mask.shape == (side, side)
    assert mask.sum() == count


def test_masks_are_blocks() -> None:
    """Masked patches touch each other far more than those of a random mask would."""
    neighbours = []
    for seed in range(30):
        mask = block_mask(np.random.default_rng(seed), 16, 16, 64)
        neighbours.append((mask[:, 1:] & mask[:, :-1]).sum() / 64)
    assert np.mean(neighbours) > 0.6  # about 0.23 for a random mask


def test_masks_reach_every_patch() -> None:
    total = sum(
        block_mask(np.random.default_rng(seed), 8, 8, 20).astype(int) for seed in range(300)
    )
    assert total.min() > 15  # corners are in fewer blocks than the middle


@given(
    seed=seeds,
    crops=st.integers(1, 50),
    probability=st.floats(0, 1),
    patches=st.sampled_from([4, 16, 64, 1369]),
)
def test_mask_counts(seed: int, crops: int, probability: float, patches: int) -> None:
    rng = np.random.default_rng(seed)
    counts = mask_counts(rng, crops, patches, probability, (0.1, 0.5))
    masked = counts[counts > 0]
    assert len(counts) == crops
    assert len(masked) == max(round(crops * probability), 1)
    assert masked.max() <= max(0.5 * patches, 1)
    assert masked.min() >= max(int(0.1 * patches), 1)
    if len(masked) > 4:  # ratios are spread over the whole range
        assert abs(masked.mean() / patches - 0.3) < 0.1 + 1 / patches
