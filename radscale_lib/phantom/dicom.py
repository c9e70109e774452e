"""Films as DICOM instances, CR and DX, with the identifiers that archives hold (all invented)."""

from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
)

from radscale_lib.phantom.draws import digest, stream, uid
from radscale_lib.phantom.encode import SYNTAXES
from radscale_lib.phantom.film import Film
from radscale_lib.phantom.population import Patient, Study
from radscale_lib.phantom.sites import Scanner
from radscale_lib.phantom.storage import add_pixels

STATED_VIEWS = 0.97
"""Share of the files that state their view position."""

_IMPLEMENTATION = uid("radscale phantom")
_STORAGE = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
}
_ORIENTATION = {"PA": ["L", "F"], "AP": ["L", "F"], "LL": ["P", "F"]}


@dataclass(frozen=True)
class Names:
    """Identifiers of an image."""

    patient: str
    accession: str
    study: str
    series: str
    instance: str


def names(study: Study, image: int) -> Names:
    """Identifiers of an image, which reveal nothing about it."""
    return Names(
        patient=f"{_number('patient', *study.key[:3], size=10**8):08}",
        accession=accession_number(study),
        study=uid("study", *study.key),
        series=uid("series", *study.key, image),
        instance=uid("instance", *study.key, image),
    )


def accession_number(study: Study) -> str:
    """The accession number of a study."""
    return f"{study.patient.site.name[0].upper()}{_number('accession', *study.key, size=10**9):09}"


def study_folder(study: Study) -> str:
    """Folder of a study's files, below its patient's."""
    return f"{patient_folder(study.patient)}/{digest('folder', *study.key).hex()[:10]}"


def patient_folder(patient: Patient) -> str:
    """Folder of a patient's files, with a meaningless name."""
    return digest("folder", patient.seed, patient.site.name, patient.number).hex()[:10]


def _number(*key: int | str, size: int) -> int:
    return int.from_bytes(digest(*key)) % size


def dataset(study: Study, image: int, film: Film, syntax: str | None = None) -> Dataset:
    """The DICOM dataset of a film, with its file meta information.

    The transfer syntax and the scanner are drawn for each image; the scanner determines depth,
    photometric interpretation and windows.

    Args:
        study: the study.
        image: number of the image in the study.
        film: the rendered image.
        syntax: transfer syntax to use instead of a random one.
    """
    rng = stream(*study.key, image, "file")
    scanners = study.patient.site.scanners
    scanner = scanners[int(rng.integers(len(scanners)))]
    drawn = list(SYNTAXES)[int(rng.choice(len(SYNTAXES), p=list(SYNTAXES.values())))]
    stated = rng.random() < STATED_VIEWS
    chosen = UID(syntax or drawn)
    ids = names(study, image)

    instance = Dataset()
    instance.file_meta = _file_meta(scanner, ids, chosen)
    _add_identity(instance, study, image, ids, scanner)
    _add_acquisition(instance, film, scanner, stated)
    add_pixels(instance, film.grey, scanner, chosen, rng)
    return instance


def to_bytes(instance: Dataset) -> bytes:
    """The file of a dataset (PS3.10)."""
    buffer = BytesIO()
    instance.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _file_meta(scanner: Scanner, ids: Names, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _STORAGE[scanner.modality]
    meta.MediaStorageSOPInstanceUID = UID(ids.instance)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "RADSCALE_1"
    return meta


def _add_identity(
    instance: Dataset, study: Study, image: int, ids: Names, scanner: Scanner
) -> None:
    patient = study.patient
    rng = stream(*study.key[:3], "identity")
    family, given = (group[int(rng.integers(len(group)))] for group in patient.site.names)
    born = date(patient.birth_year, 1, 1) + timedelta(days=int(rng.integers(365)))
    first = date(2015, 1, 1) + timedelta(days=int(rng.integers(1500)))
    clock = stream(*study.key, "clock")
    taken = first + timedelta(days=200 * study.number + int(clock.integers(200)))
    day, hour, minute = taken.strftime("%Y%m%d"), int(clock.integers(24)), int(clock.integers(50))

    instance.SpecificCharacterSet = "ISO_IR 100"
    instance.ImageType = ["ORIGINAL", "PRIMARY", ""]
    instance.SOPClassUID = _STORAGE[scanner.modality]
    instance.SOPInstanceUID = ids.instance
    instance.StudyDate = instance.SeriesDate = instance.ContentDate = day
    instance.StudyTime = f"{hour:02}{minute:02}00"
    instance.ContentTime = f"{hour:02}{minute + 3 * image:02}30"
    instance.AccessionNumber = ids.accession
    instance.Modality = scanner.modality
    instance.Manufacturer = scanner.manufacturer
    instance.ManufacturerModelName = scanner.model
    instance.InstitutionName = f"Phantom {patient.site.name} hospital"
    instance.ReferringPhysicianName = ""
    instance.PatientName = f"{family}^{given}"
    instance.PatientID = ids.patient
    instance.PatientBirthDate = born.strftime("%Y%m%d")
    instance.PatientSex = patient.sex
    instance.StudyInstanceUID = ids.study
    instance.SeriesInstanceUID = ids.series
    instance.StudyID = str(study.number + 1)
    instance.SeriesNumber = str(image + 1)
    instance.InstanceNumber = "1"


def _add_acquisition(instance: Dataset, film: Film, scanner: Scanner, stated: bool) -> None:
    instance.BodyPartExamined = "CHEST"
    if stated:
        instance.ViewPosition = film.view
    instance.PatientOrientation = _ORIENTATION[film.view]
    spacing = [film.spacing_mm, film.spacing_mm]
    if scanner.modality == "DX":
        instance.ImagerPixelSpacing = spacing
        instance.PresentationIntentType = "FOR PRESENTATION"
        instance.ImageLaterality = "U"
        instance.PixelIntensityRelationship = "LOG"
        instance.PixelIntensityRelationshipSign = -1 if scanner.inverted else 1
    else:
        instance.PixelSpacing = spacing
    instance.BurnedInAnnotation = "NO"
    instance.LossyImageCompression = "00"
