"""Grey transforms against pydicom's and NumPy's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from radscale_lib.archive.grey import GreyScale, Lut, Window, render
from radscale_lib.archive.outcomes import QuarantinedError


@settings(max_examples=100, deadline=None)
@given(bits=st.integers(1, 16), data=st.data())
def test_stored_values_are_twos_complement(bits, data):
    pattern = data.draw(st.integers(0, 2**bits - 1))
    signed = GreyScale(bits, signed=True, inverted=False).stored_values()
    unsigned = GreyScale(bits, signed=False, inverted=False).stored_values()
    assert unsigned[pattern] == pattern
    assert -(2 ** (bits - 1)) <= signed[pattern] < 2 ** (bits - 1)
    assert signed[pattern] % 2**bits == pattern


scales = st.builds(
    GreyScale,
    bits=st.just(10),
    signed=st.booleans(),
    inverted=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, -2.0]),
    intercept=st.sampled_from([0.0, -1024.0]),
    padding=st.sampled_from([None, (0, 0), (-5, 100)]),
)


@settings(max_examples=100, deadline=None)
@given(scale=scales, policy=st.sampled_from(["minmax", "percentile"]), seed=st.integers(0, 999))
def test_linear_windows_and_percentiles(scale, policy, seed):
    patterns = np.random.default_rng(seed).integers(0, 1024, (23, 31)).astype(np.uint16)
    stored = patterns.astype(np.int64)
    if scale.signed:
        stored = np.where(stored >= 512, stored - 1024, stored)
    values = stored * scale.slope + scale.intercept
    real = np.ones(values.shape, bool)
    if scale.padding:
        real = (stored < scale.padding[0]) | (stored > scale.padding[1])
    expected = np.percentile(values[real], (1, 50, 99), method="inverted_cdf")
    rendered = render(patterns, scale, policy)
    np.testing.assert_array_equal(rendered[3:], expected)
    low, high = values[real].min(), values[real].max()
    if policy == "percentile":
        low, _, high = expected
    grey = 255 * np.clip((values - low) / (high - low), 0, 1)
    if scale.inverted:
        grey = 255 - grey
    grey[~real] = 0
    np.testing.assert_allclose(rendered.grey(), grey, atol=1e-3)
    assert rendered.grey().dtype == np.float32


def lut_item(first: int, values: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    return item


def test_modality_lut_is_pydicoms():
    values = [int(v) for v in np.random.default_rng(0).integers(0, 65536, 200)]
    dataset = Dataset()
    item = lut_item(30, values, 16)
    item.ModalityLUTType = "US"
    dataset.ModalityLUTSequence = [item]
    stored = np.arange(256)
    scale = GreyScale(8, False, False, modality_lut=Lut(30, np.array(values), 16))
    np.testing.assert_array_equal(
        scale.modality_values(), apply_modality_lut(stored.astype(np.uint8), dataset)
    )


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(500.0, 300.0), (-100.5, 1000.0), (512.0, 20.0)])
def test_windows_are_pydicoms(function, centre, width):
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsStored, dataset.PixelRepresentation = 16, 1
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = centre, width, function
    values = np.arange(-1024.0, 2048.0)
    expected = apply_voi_lut(values, dataset)  # from −32768 to 32767
    np.testing.assert_allclose(
        Window(centre, width, function)(values), (expected + 32768) / 65535, atol=1e-9
    )


def test_window_of_width_one_is_a_threshold():
    values = np.array([98.0, 99.0, 100.0, 101.0])
    np.testing.assert_array_equal(Window(100.0, 1.0, "LINEAR")(values), [0, 0, 1, 1])


def test_voi_lut_is_pydicoms():
    values = [int(v) for v in np.sort(np.random.default_rng(1).integers(0, 1024, 300))]
    dataset = Dataset()
    dataset.VOILUTSequence = [lut_item(50, values, 10)]
    patterns = np.arange(512, dtype=np.uint16).reshape(16, 32)
    expected = apply_voi_lut(patterns, dataset) / 1023 * 255
    scale = GreyScale(9, False, False, voi=Lut(50, np.array(values), 10))
    np.testing.assert_allclose(render(patterns, scale, "voi").grey(), expected, atol=1e-3)


def test_voi_comes_after_modality_and_before_inversion():
    patterns = np.arange(256, dtype=np.uint8).reshape(16, 16)
    window = Window(0.0, 101.0, "LINEAR")
    scale = GreyScale(8, False, True, slope=2.0, intercept=-256.0, voi=window)
    expected = 255 * (1 - window(2.0 * patterns - 256.0))
    np.testing.assert_allclose(render(patterns, scale, "voi").grey(), expected, atol=1e-3)
    plain = render(patterns, scale, "minmax")
    assert plain.grey().ravel()[0] == 255
    assert plain.grey().ravel()[-1] == 0


def test_voi_without_one_is_minmax():
    patterns = np.arange(100, 200, dtype=np.uint8).reshape(10, 10)
    scale = GreyScale(8, False, False)
    np.testing.assert_array_equal(
        render(patterns, scale, "voi").grey(), render(patterns, scale, "minmax").grey()
    )


def test_padding_inside_the_range_is_black_and_does_not_stretch():
    patterns = np.array([[0, 0, 100], [101, 200, 0]], np.uint8)
    scale = GreyScale(8, False, inverted=True, padding=(0, 0))
    rendered = render(patterns, scale, "minmax")
    np.testing.assert_allclose(rendered.grey(), [[0, 0, 255], [252.45, 0, 0]], atol=1e-3)
    assert (rendered.p1, rendered.p50, rendered.p99) == (100, 101, 200)


@pytest.mark.parametrize("padding", [None, (0, 3)])
def test_an_image_of_one_value_is_a_defect(padding):
    patterns = np.full((4, 4), 7, np.uint8)
    patterns[0, 0] = 7 if padding is None else 2
    with pytest.raises(QuarantinedError) as caught:
        render(patterns, GreyScale(8, False, False, padding=padding), "minmax")
    assert caught.value.reason == "constant"


def test_percentile_window_of_a_nearly_constant_image_is_its_range():
    patterns = np.full((20, 20), 7, np.uint8)
    patterns[0, 0] = 9
    rendered = render(patterns, GreyScale(8, False, False), "percentile")
    assert (rendered.grey().min(), rendered.grey().max()) == (0, 255)
