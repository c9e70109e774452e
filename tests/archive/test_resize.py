"""The banded B-spline against SciPy's recursive filter and direct evaluation."""

from typing import get_args

import cv2
import numpy as np
import PIL.Image
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radscale_lib.archive.resize import position, resize, spline_matrix, stored_size
from radscale_lib.study.archive import Interpolation

ALIGNMENTS = ("centred", "origin")


def spline(image: np.ndarray, height: int, width: int, alignment: str) -> np.ndarray:
    """The same interpolation, evaluated by SciPy in double precision."""
    coefficients = ndimage.spline_filter(image.astype(np.float64), order=3, mode="mirror")
    shift = 0.5 if alignment == "centred" else 0.0
    axes = [
        (np.arange(target) + shift) * source / target - shift
        for source, target in zip(image.shape, (height, width), strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    return ndimage.map_coordinates(coefficients, grid, order=3, mode="mirror", prefilter=False)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((300, 250), (622, 518)),
        ((700, 611), (134, 117)),
        ((64, 64), (64, 64)),
        ((90, 33), (177, 65)),
    ],
)
def test_equals_scipy_on_the_8_bit_scale(alignment, source, target):
    image = np.random.default_rng(0).uniform(0, 255, source).astype(np.float32)
    ours = resize(image, *target, alignment)
    theirs = spline(image, *target, alignment)
    assert ours.dtype == np.float32
    assert ours.shape == target
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    shown = [np.rint(x.clip(0, 255)) for x in (ours, theirs)]
    assert (shown[0] != shown[1]).mean() < 1e-4


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    target=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    alignment=st.sampled_from(ALIGNMENTS),
    seed=st.integers(0, 99),
)
def test_equals_scipy_at_any_size(shape, target, alignment, seed):
    image = np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)
    np.testing.assert_allclose(
        resize(image, *target, alignment), spline(image, *target, alignment), atol=1e-5
    )


@settings(max_examples=60, deadline=None)
@given(
    source=st.integers(1, 3000), target=st.integers(1, 600), alignment=st.sampled_from(ALIGNMENTS)
)
def test_constants_are_kept_and_the_band_is_narrow(source, target, alignment):
    matrix = spline_matrix(source, target, alignment)
    assert matrix.shape == (target, source)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert np.diff(matrix.indptr).max() <= 32


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_same_size_is_the_same_image(alignment):
    image = np.random.default_rng(1).uniform(0, 255, (40, 50)).astype(np.float32)
    np.testing.assert_allclose(resize(image, 40, 50, alignment), image, atol=1e-3)


def test_origin_at_half_size_keeps_every_second_sample():
    image = np.random.default_rng(2).uniform(0, 255, (40, 60)).astype(np.float32)
    np.testing.assert_allclose(resize(image, 20, 30, "origin"), image[::2, ::2], atol=1e-3)


def test_centred_commutes_with_mirroring():
    image = np.random.default_rng(3).uniform(0, 255, (41, 60)).astype(np.float32)
    small = resize(image, 23, 31, "centred")
    np.testing.assert_allclose(
        resize(image[::-1, ::-1].copy(), 23, 31, "centred"), small[::-1, ::-1], atol=1e-3
    )


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_position_follows_the_image(alignment):
    """A bright spot is found where its position is mapped to."""
    y, x = np.mgrid[:200, :160]
    image = np.exp(-((y - 130) ** 2 + (x - 40) ** 2) / 200).astype(np.float32)
    small = resize(image, 50, 40, alignment).astype(np.float64)
    rows, columns = np.mgrid[:50, :40]
    centre = [(grid * small).sum() / small.sum() for grid in (rows, columns)]
    assert centre[0] == pytest.approx(position(130.0, 200, 50, alignment), abs=0.02)
    assert centre[1] == pytest.approx(position(40.0, 160, 40, alignment), abs=0.02)


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    side=st.integers(16, 1024),
    aspect=st.sampled_from([1.0, 0.5, 1.3]),
)
def test_stored_size(height, width, side, aspect):
    tall, wide = stored_size(height, width, side, aspect)
    assert min(tall, wide) == side
    exact = height * aspect / width
    assert abs(tall - wide * exact) <= 0.5 * max(1, exact) + 1e-6


def test_stored_size_of_a_radiograph():
    assert stored_size(2500, 2048, 518) == (632, 518)
    assert stored_size(2048, 2500, 518) == (518, 632)
    assert stored_size(1024, 1024, 518, aspect=1.25) == (648, 518)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_equals_simpleitk(alignment):
    """RAD-DINO's own resize is the oracle."""
    rng = np.random.default_rng(5)
    image = ndimage.gaussian_filter(rng.uniform(0, 255, (407, 333)), 2).astype(np.float32)
    height, width = stored_size(*image.shape, 128)
    source = sitk.GetImageFromArray(image)
    spacing = image.shape[1] / width, image.shape[0] / height
    origin = (0.0, 0.0) if alignment == "origin" else tuple((s - 1) / 2 for s in spacing)
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(
            source, (width, height), sitk.Transform(), sitk.sitkBSpline, origin, spacing,
            source.GetDirection(), 0.0, sitk.sitkFloat32,
        )
    )  # fmt: skip
    ours = resize(image, height, width, alignment)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert (np.rint(ours) != np.rint(theirs)).mean() < 1e-4


OTHERS = [name for name in get_args(Interpolation) if name != "bspline"]


@pytest.mark.parametrize("name", OTHERS)
def test_resizes_by_name_are_the_libraries(name):
    image = np.random.default_rng(6).uniform(0, 255, (70, 90)).astype(np.float32)
    library, method = name.split("-")
    if library == "opencv":
        flag = getattr(cv2, f"INTER_{method.upper()}{'4' if method == 'lanczos' else ''}")
        expected = cv2.resize(image, (40, 31), interpolation=flag)
    else:
        flag = getattr(PIL.Image.Resampling, method.upper())
        expected = np.asarray(PIL.Image.fromarray(image).resize((40, 31), flag))
    found = resize(image, 31, 40, "centred", name)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", get_args(Interpolation))
def test_every_resize_keeps_places(name):
    """A bright spot is found where `position` says, so tube points fit."""
    y, x = np.mgrid[:200, :160]
    image = np.exp(-((y - 130) ** 2 + (x - 40) ** 2) / 200).astype(np.float32)
    small = resize(image, 50, 40, "centred", name).astype(np.float64)
    rows, columns = np.mgrid[:50, :40]
    centre = [(grid * small).sum() / small.sum() for grid in (rows, columns)]
    assert centre[0] == pytest.approx(position(130.0, 200, 50, "centred"), abs=0.02)
    assert centre[1] == pytest.approx(position(40.0, 160, 40, "centred"), abs=0.02)
