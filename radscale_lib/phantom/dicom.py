"""Films as DICOM files: CR and DX instances in the varieties that archives hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    HTJ2KLossless,
)

from radscale_lib.phantom.canvas import Plane
from radscale_lib.phantom.draws import digest, stream, uid
from radscale_lib.phantom.encode import SYNTAXES, Pixels, encode
from radscale_lib.phantom.film import Film
from radscale_lib.phantom.population import Patient, Study
from radscale_lib.phantom.sites import Scanner

_IMPLEMENTATION = uid("radscale phantom")
_STORAGE = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
}
_ORIENTATION = {"PA": ["L", "F"], "AP": ["L", "F"], "LL": ["P", "F"]}


@dataclass(frozen=True)
class Names:
    """Identifiers of a study and one of its images, all invented."""

    patient: str
    accession: str
    study: str
    series: str
    instance: str


def accession_number(study: Study) -> str:
    """The accession number of a study."""
    return f"{study.patient.site.name[0].upper()}{_number('accession', *study.key, size=10**9):09}"


def names(study: Study, image: int) -> Names:
    """Identifiers of an image."""
    return Names(
        patient=f"{_number('patient', *study.key[:3], size=10**8):08}",
        accession=accession_number(study),
        study=uid("study", *study.key),
        series=uid("series", *study.key, image),
        instance=uid("instance", *study.key, image),
    )


def _number(*key: int | str, size: int) -> int:
    return int.from_bytes(digest(*key)) % size


def choose_syntax(rng: np.random.Generator) -> UID:
    """Draw a transfer syntax."""
    return list(SYNTAXES)[int(rng.choice(len(SYNTAXES), p=list(SYNTAXES.values())))]


def dataset(study: Study, image: int, film: Film, syntax: UID | str | None = None) -> Dataset:
    """The DICOM dataset of a film, with its file meta information.

    Bits stored, photometric interpretation, windows and tables follow the scanner; a few files are
    signed, or carry a rescale or a modality table. HTJ2K files store 16 bits, since their encoder
    writes no other depth.
    """
    rng = stream(*study.key, image, "file")
    scanners = study.patient.site.scanners
    scanner = scanners[int(rng.integers(len(scanners)))]
    drawn, rescale, table, positioned = choose_syntax(rng), *rng.random(3)
    syntax = UID(syntax or drawn)
    bits = 16 if syntax == HTJ2KLossless else scanner.bits
    ids = names(study, image)

    result = Dataset()
    result.file_meta = _file_meta(scanner, ids, syntax)
    _add_identity(result, study, ids, scanner)
    _add_acquisition(result, film, scanner, positioned < 0.96)
    _add_pixels(result, film.grey, scanner, bits, syntax, (rescale, table), rng)
    return result


def _file_meta(scanner: Scanner, ids: Names, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _STORAGE[scanner.modality]
    meta.MediaStorageSOPInstanceUID = UID(ids.instance)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "RADSCALE_1"
    return meta


def _add_identity(result: Dataset, study: Study, ids: Names, scanner: Scanner) -> None:
    patient = study.patient
    rng = stream(*study.key[:3], "identity")
    family, given = (group[int(rng.integers(len(group)))] for group in patient.site.names)
    born = date(patient.birth_year, 1, 1) + timedelta(days=int(rng.integers(365)))
    first = date(2015, 1, 1) + timedelta(days=int(rng.integers(1500)))
    gap = int(stream(*study.key, "date").integers(1, 200))
    taken = first + timedelta(days=200 * study.number + gap)
    clock = stream(*study.key, "clock")
    time = f"{int(clock.integers(24)):02}{int(clock.integers(60)):02}{int(clock.integers(60)):02}"

    result.SpecificCharacterSet = "ISO_IR 100"
    result.ImageType = ["ORIGINAL", "PRIMARY", ""]
    result.SOPClassUID = _STORAGE[scanner.modality]
    result.SOPInstanceUID = ids.instance
    result.StudyDate = result.SeriesDate = result.AcquisitionDate = result.ContentDate = (
        taken.strftime("%Y%m%d")
    )
    result.StudyTime = result.ContentTime = time
    result.AccessionNumber = ids.accession
    result.Modality = scanner.modality
    result.Manufacturer = scanner.manufacturer
    result.ManufacturerModelName = scanner.model
    result.InstitutionName = f"Phantom {patient.site.name} hospital"
    result.ReferringPhysicianName = ""
    result.PatientName = f"{family}^{given}"
    result.PatientID = ids.patient
    result.PatientBirthDate = born.strftime("%Y%m%d")
    result.PatientSex = patient.sex
    result.StudyInstanceUID = ids.study
    result.SeriesInstanceUID = ids.series
    result.StudyID = str(study.number + 1)


def _add_acquisition(result: Dataset, film: Film, scanner: Scanner, positioned: bool) -> None:
    result.BodyPartExamined = "CHEST"
    result.SeriesNumber = result.InstanceNumber = "1"
    if positioned:
        result.ViewPosition = film.view
    result.PatientOrientation = _ORIENTATION[film.view]
    result.ImagerPixelSpacing = [film.spacing_mm, film.spacing_mm]
    if scanner.modality == "DX":
        result.PresentationIntentType = "FOR PRESENTATION"
        result.ImageLaterality = "U"
        result.PixelIntensityRelationship = "LOG"
        result.PixelIntensityRelationshipSign = -1 if scanner.inverted else 1
    else:
        result.PixelSpacing = [film.spacing_mm, film.spacing_mm]
    result.BurnedInAnnotation = "NO"
    result.LossyImageCompression = "00"


def _add_pixels(
    result: Dataset,
    grey: Plane,
    scanner: Scanner,
    bits: int,
    syntax: UID,
    choices: Iterable[float],
    rng: np.random.Generator,
) -> None:
    rescale, table = choices
    top = 2**bits - 1
    low, high = rng.uniform(0.0, 0.06), rng.uniform(0.90, 1.0)
    values = top * (low + (high - low) * grey)
    if scanner.inverted:
        values = top - values
    window = sorted((top * low, top * high) if not scanner.inverted else
                    (top - top * high, top - top * low))  # fmt: skip
    # Tables are byte streams, whose order depends on the syntax; big-endian files carry none.
    tables = bits <= 12 and syntax != ExplicitVRBigEndian
    signed = tables and not syntax.is_encapsulated and rescale < 0.04

    result.SamplesPerPixel = 1
    result.PhotometricInterpretation = "MONOCHROME1" if scanner.inverted else "MONOCHROME2"
    result.PresentationLUTShape = "INVERSE" if scanner.inverted else "IDENTITY"
    result.Rows, result.Columns = grey.shape
    result.BitsAllocated, result.BitsStored, result.HighBit = 16, bits, bits - 1
    result.PixelRepresentation = int(signed)

    modality_top = float(top)
    stored = np.round(values)
    if tables and table < 0.04:
        exponent = 1.25
        stored = np.round(top * np.power(values / top, 1 / exponent))
        curve = np.round(65535 * np.power(np.arange(top + 1) / top, exponent))
        result.ModalityLUTSequence = Sequence([_lut(curve, 0)])
        result.ModalityLUTSequence[0].ModalityLUTType = "US"
        modality_top = 65535.0
    elif signed:
        result.RescaleIntercept, result.RescaleSlope = str(2 ** (bits - 1)), "1"
        stored = stored - 2 ** (bits - 1)
    elif rescale < 0.14:
        result.RescaleIntercept, result.RescaleSlope = "-1024", "0.5"
        window = [0.5 * bound - 1024 for bound in window]
    elif scanner.modality == "DX":
        result.RescaleIntercept, result.RescaleSlope = "0", "1"
    if "RescaleSlope" in result or "ModalityLUTSequence" in result:
        result.RescaleType = "US"
    if "ModalityLUTSequence" in result:
        del result.RescaleType
    window = [bound * modality_top / top for bound in window]
    _add_window(result, scanner, window, tables)

    pixels: Pixels = stored.astype(np.int16) if signed else stored.astype(np.uint16)
    result.PixelData = encode(pixels, syntax, bits)
    result["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"


def _add_window(result: Dataset, scanner: Scanner, window: list[float], tables: bool) -> None:
    """Window or VOI table (PS3.3, C.11.2) that spans the film's own range."""
    low, high = window
    linear_table = scanner.window == "lut" and tables and "RescaleSlope" not in result
    if linear_table and "ModalityLUTSequence" not in result:
        entries = 2 ** int(result.BitsStored)
        at = (np.arange(entries) - (low + high) / 2) / (high - low)
        curve = np.round(65535 / (1 + np.exp(-5 * at)))
        result.VOILUTSequence = Sequence([_lut(curve, 0)])
        return
    if scanner.window == "none":
        return
    result.WindowCenter, result.WindowWidth = f"{(low + high) / 2:.6g}", f"{high - low:.6g}"
    if scanner.window in ("sigmoid", "linear_exact"):
        result.VOILUTFunction = scanner.window.upper()


def _lut(curve: Plane, first: int) -> Dataset:
    """A lookup table item: descriptor (entries, first mapped value, bits) and 16-bit data."""
    item = Dataset()
    item.LUTDescriptor = [len(curve), first, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTExplanation = "phantom"
    item.LUTData = curve.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def patient_folder(patient: Patient) -> str:
    """Folder of a patient's files: a name without meaning."""
    return digest("folder", patient.seed, patient.site.name, patient.number).hex()[:10]


def to_bytes(instance: Dataset) -> bytes:
    """The file of a dataset (PS3.10)."""
    buffer = BytesIO()
    instance.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
