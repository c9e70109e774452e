import io
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLossless

from radscale_lib.phantom import draw_patient, draw_study, render
from radscale_lib.phantom.canvas import Plane
from radscale_lib.phantom.dicom import dataset, to_bytes
from radscale_lib.phantom.encode import SYNTAXES, encode
from radscale_lib.phantom.population import Study
from radscale_lib.phantom.sites import SITES

SMALL = 64


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def first_study(site: str, number: int) -> Study:
    return draw_study(draw_patient(2, site, number), 0)


def displayed(instance: Dataset) -> Plane:
    """Grey of an instance without window: modality transform, then inversion, in [0, 1]."""
    values = apply_modality_lut(instance.pixel_array, instance).astype(float)
    if instance.PhotometricInterpretation == "MONOCHROME1":
        values = -values
    return (values - values.min()) / (values.max() - values.min())


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("bits", (10, 12, 14, 16))
def test_compression_loses_nothing(syntax: UID, bits: int) -> None:
    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(8, 40), st.integers(8, 40))
    def check(seed: int, rows: int, columns: int) -> None:
        rng = np.random.default_rng(seed)
        steps = rng.integers(-40, 41, (rows, columns))
        pixels = (steps.cumsum(axis=1) % 2**bits).astype(np.uint16)
        pixels[0, :2] = (0, 2**bits - 1)
        instance = Dataset()
        instance.file_meta = pydicom.dataset.FileMetaDataset()
        instance.file_meta.TransferSyntaxUID = syntax
        instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID = UID("1.2.3")
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID = UID("1.2.4")
        instance.Rows, instance.Columns = pixels.shape
        instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, bits, bits - 1
        instance.PixelRepresentation, instance.SamplesPerPixel = 0, 1
        instance.PhotometricInterpretation = "MONOCHROME2"
        instance.PixelData = encode(pixels, syntax, bits)
        instance["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
        np.testing.assert_array_equal(read(to_bytes(instance)).pixel_array, pixels)

    check()


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_a_film_survives_every_syntax(site: str, syntax: UID) -> None:
    for number in range(3):
        study = first_study(site, number)
        film = render(study, 0, SMALL)
        plain = read(to_bytes(dataset(study, 0, film, ExplicitVRLittleEndian)))
        instance = read(to_bytes(dataset(study, 0, film, syntax)))
        assert instance.file_meta.TransferSyntaxUID == syntax
        assert instance.BitsStored == 16 or syntax != HTJ2KLossless
        np.testing.assert_allclose(displayed(instance), displayed(plain), atol=2e-3)


def test_display_pipeline_gives_the_film_back() -> None:
    seen: Counter[str] = Counter()
    for number in range(120):
        study = first_study(("institution", "public")[number % 2], number)
        film = render(study, 0, SMALL)
        instance = read(to_bytes(dataset(study, 0, film)))
        assert (instance.Rows, instance.Columns) == film.grey.shape
        assert instance.pixel_array.max() < 2**instance.BitsStored
        expected = (film.grey - film.grey.min()) / (film.grey.max() - film.grey.min())
        step = 1 / (0.8 * (2**instance.BitsStored - 1))
        np.testing.assert_allclose(displayed(instance), expected, atol=3 * step)
        seen[instance.PhotometricInterpretation] += 1
        seen[f"{instance.BitsStored} bits"] += 1
        seen[instance.Modality] += 1
        seen["signed"] += instance.PixelRepresentation
        seen["modality table"] += "ModalityLUTSequence" in instance
        seen["voi table"] += "VOILUTSequence" in instance
        seen["two windows"] += instance.get("WindowCenter") is not None and (
            instance["WindowCenter"].VM == 2
        )
        seen["rescaled"] += float(instance.get("RescaleSlope", 1)) != 1
        seen[str(instance.get("VOILUTFunction"))] += 1
        seen[instance.file_meta.TransferSyntaxUID.keyword] += 1
    kinds = {
        *("MONOCHROME1", "MONOCHROME2", "CR", "DX", "10 bits", "12 bits", "14 bits", "16 bits"),
        *("signed", "modality table", "voi table", "two windows", "rescaled"),
        *("SIGMOID", "LINEAR_EXACT"),
    }
    assert {kind for kind in kinds if seen[kind] == 0} == set()
    assert sum(seen[syntax.keyword] > 0 for syntax in SYNTAXES) >= 7


def test_window_spans_the_film() -> None:
    for number in range(60):
        study = first_study("institution", number)
        instance = dataset(study, 0, render(study, 0, SMALL), ExplicitVRLittleEndian)
        if "WindowCenter" not in instance:
            continue
        values = apply_modality_lut(instance.pixel_array, instance).astype(float)
        centre = float(np.atleast_1d(instance.WindowCenter)[0])
        width = float(np.atleast_1d(instance.WindowWidth)[0])
        assert values.min() >= centre - width / 2 - 0.02 * width
        assert values.max() <= centre + width / 2 + 0.02 * width


def test_headers(archive: Path) -> None:
    for path in sorted((archive / "dicom").rglob("*.dcm")):
        try:
            instance = pydicom.dcmread(path)
            pixels = instance.pixel_array
        except Exception:  # the planted defects, checked elsewhere
            continue
        assert instance.SOPInstanceUID.startswith("2.25.")
        assert UID(instance.SOPInstanceUID).is_valid
        assert instance.file_meta.MediaStorageSOPInstanceUID == instance.SOPInstanceUID
        assert instance.BurnedInAnnotation == "NO"
        assert instance.BodyPartExamined == "CHEST"
        assert min(pixels.shape) == 64
        spacing = instance.get("PixelSpacing") or instance.get("ImagerPixelSpacing")
        assert 330 < float(spacing[0]) * 64 < 450
        assert ("PresentationIntentType" in instance) == (instance.Modality == "DX")
        assert 17 <= int(instance.StudyDate[:4]) - int(instance.PatientBirthDate[:4]) <= 105
