"""Write a picture as a DICOM secondary capture, so that ordinary ingest reads it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from radscale_lib.archive.header import quiet_pydicom
from radscale_lib.files import atomic_write


@dataclass(frozen=True)
class Capture:
    """Header values of a picture. Empty texts are unknown."""

    patient_id: str
    study_instance_uid: str
    sop_instance_uid: str
    view: str = ""
    age: int | None = None
    sex: str = ""
    spacing: tuple[float, float] | None = None
    """Distance of rows and of columns, mm."""


def derived_uid(*parts: str) -> str:
    """A UID derived from texts, always the same (PS3.5 B.2: 2.25 and a 128-bit number)."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
    return f"2.25.{int.from_bytes(digest, 'big')}"


def write_capture(
    path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], capture: Capture
) -> None:
    """Write a grey picture [H, W] as uncompressed MONOCHROME2; the same input gives the same bytes.

    Args:
        path: the file to make.
        pixels: uint8 or uint16; larger is brighter.
        capture: header values.
    """
    with quiet_pydicom():  # it would write the table's values to the log
        dataset = _dataset(pixels, capture)
        with atomic_write(path) as partial:
            dataset.save_as(partial, enforce_file_format=True)


def _dataset(pixels: NDArray[np.uint8] | NDArray[np.uint16], capture: Capture) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = UID(capture.sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = capture.sop_instance_uid
    dataset.StudyInstanceUID = capture.study_instance_uid
    dataset.SeriesInstanceUID = derived_uid("series", capture.sop_instance_uid)
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.PatientName = dataset.PatientBirthDate = dataset.ReferringPhysicianName = ""
    if not capture.patient_id.isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = capture.patient_id
    dataset.PatientSex = capture.sex
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    if capture.age is not None:
        dataset.PatientAge = f"{capture.age:03d}Y"
    dataset.Modality = "CR"
    dataset.ConversionType = "DI"
    dataset.ViewPosition = capture.view
    if capture.spacing is not None:
        dataset.PixelSpacing = [f"{value:.6g}" for value in capture.spacing]
    bits = 8 * pixels.dtype.itemsize
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    data = np.ascontiguousarray(pixels, f"<u{bits // 8}").tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW"
    return dataset


def rewrite_header(source: Path, target: Path, capture: Capture) -> bool:
    """Copy a DICOM file with the identifiers and the view that a collection states.

    Returns:
        Whether the source could be read as a DICOM image.
    """
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(source)
            dataset.PatientID = capture.patient_id
            dataset.StudyInstanceUID = capture.study_instance_uid
            dataset.SOPInstanceUID = capture.sop_instance_uid
            dataset.file_meta.MediaStorageSOPInstanceUID = UID(capture.sop_instance_uid)
            dataset.ViewPosition = dataset.get("ViewPosition") or capture.view
            dataset.Modality = dataset.get("Modality") or "CR"
            with atomic_write(target) as partial:
                dataset.save_as(partial)
    except Exception:
        return False
    return "PixelData" in dataset
