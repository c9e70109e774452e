"""Small DICOM files made to measure, and real films."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.archive.films import Films, fetch

MakeDicom = Callable[..., Path]


def radiograph(pixels: np.ndarray, number: int = 0, **tags: Any) -> Dataset:
    """A radiograph's dataset; a tag given as None is left out."""
    bits = 8 * pixels.dtype.itemsize
    values: dict[str, Any] = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "StudyInstanceUID": f"1.2.3.5.{number // 2}",
        "SeriesInstanceUID": f"1.2.3.6.{number}",
        "PatientID": f"patient-{number // 4}",
        "AccessionNumber": f"ACC{number // 2}",
        "Modality": "CR",
        "ViewPosition": "PA",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(np.issubdtype(pixels.dtype, np.signedinteger)),
        **tags,
    }
    if values["BitsStored"] is not None:
        values.setdefault("HighBit", values["BitsStored"] - 1)
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def write_dicom(
    path: Path,
    pixels: np.ndarray,
    number: int = 0,
    syntax: str = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    **tags: Any,
) -> Path:
    """Write a radiograph; `frame` is its encoded stream where `syntax` is encapsulated."""
    dataset = radiograph(pixels, number, **tags)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    dataset.file_meta = meta
    native = {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    }
    if frame is not None:
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    elif "PixelData" not in dataset:
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    assert frame is not None or syntax in native
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = {"implicit_vr": False, "little_endian": True} if UID(syntax).is_private else {}
    dataset.save_as(path, enforce_file_format=True, **encoding)
    return path


@pytest.fixture(scope="session")
def make_dicom() -> MakeDicom:
    """`write_dicom`."""
    return write_dicom


def smooth(height: int, width: int, top: int, seed: int = 0) -> np.ndarray:
    """A smooth image with some noise, integers from 0 to `top`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.sin(3 * x / width + 1) + np.cos(4 * y / height) + rng.normal(0, 0.05, x.shape)
    scaled = (waves - waves.min()) / np.ptp(waves)
    return np.rint(scaled * top).astype(np.int64)


@pytest.fixture(scope="session")
def make_image() -> Callable[..., np.ndarray]:
    """`smooth`."""
    return smooth


@pytest.fixture(scope="session")
def films() -> Films:
    """Real films; without network the test is skipped, unless `RADSCALE_FILMS=required`."""
    try:
        return fetch()
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("RADSCALE_FILMS") == "required":
            raise
        pytest.skip(f"real films cannot be downloaded with pip ({type(error).__name__})")
