"""The elements of a header that ingest reads, as text and numbers.

Plain values are converted here; anything else (a character set, several values, a damaged number)
is converted by pydicom. Both ways give the same values.
"""

import re
from functools import cached_property, lru_cache
from typing import Any

import pydicom
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from radscale_lib.archive import quickparse
from radscale_lib.archive.outcomes import QuarantinedError

KEYWORDS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "AccessionNumber",
    "Modality", "PresentationIntentType", "ReferringPhysicianName", "SeriesDescription",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName",
    "PhysiciansOfRecord", "RequestingPhysician", "ConsultingPhysicianName", "ResponsiblePerson",
    "PatientBirthDate", "PatientSex", "PatientAge", "OtherPatientIDs", "OtherPatientNames",
    "PatientBirthName", "PatientMotherBirthName",
    "InstitutionName", "PatientName", "PatientID", "BodyPartExamined", "ViewPosition",
    "StudyInstanceUID", "PatientOrientation", "Laterality", "ImageLaterality", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing",
    "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "BurnedInAnnotation", "RescaleIntercept", "RescaleSlope",
    "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "ViewCodeSequence", "StudyDate", "ManufacturerModelName",
)  # fmt: skip
"""Every element that ingest reads. It looks at nothing else in a header."""

_TAGS = {keyword: BaseTag(tag_for_keyword(keyword) or 0) for keyword in KEYWORDS}
_VRS = {keyword: dictionary_VR(tag) for keyword, tag in _TAGS.items()}
_PLAIN = re.compile(rb"[\x20-\x5b\x5d-\x7e]*\0*")
"""One value in ASCII: no escape, no backslash."""
_PLAIN_TEXT = {"AE", "CS", "LO", "SH", "UI"}
_ONE_VALUE = re.compile(rb"[\x20-\x3c\x3e-\x5b\x5d-\x7e]*\0*")
"""As `_PLAIN`, and one group of components of a name: no equals sign."""
_ONE_TEXT = _PLAIN_TEXT | {"PN"}
_WHOLE_NUMBER = re.compile(rb" *[+-]?[0-9]+ *\0?")
_DECIMAL = rb" *[+-]?[0-9]*\.?[0-9]+ *"
_DECIMALS = re.compile(rb"%b(?:\\%b)*\0?" % (_DECIMAL, _DECIMAL))
_CODES = re.compile(rb"[A-Z0-9_][A-Z0-9_ \\]*\0?")


class Elements:
    """Elements of a header, or of an item of a sequence, by keyword."""

    def __init__(self, raw: quickparse.Elements, implicit: bool) -> None:
        """Take elements of a little-endian file."""
        self._raw = raw
        self._implicit = implicit

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> "Elements":
        """Take a dataset that pydicom has parsed."""
        elements = cls({}, implicit=False)
        elements.__dict__["_dataset"] = dataset
        return elements

    @cached_property
    def _dataset(self) -> Dataset:
        dataset = Dataset(
            {
                _TAGS[keyword]: RawDataElement(
                    _TAGS[keyword], vr, len(value), value, offset, self._implicit, True
                )
                for keyword, (vr, value, offset) in self._raw.items()
            }
        )
        charset = self._raw.get("SpecificCharacterSet")
        encodings = _encodings(charset[1] if charset else b"")
        dataset.set_original_encoding(self._implicit, True, encodings)
        return dataset

    def text(self, keyword: str) -> str:
        """A value without surrounding blanks; empty if it is missing or cannot be read."""
        if self._raw:
            raw = self._raw.get(keyword)
            if raw is None:
                return ""
            vr, data, _ = raw
            vr = vr or _VRS[keyword]
            if vr in _PLAIN_TEXT and _PLAIN.fullmatch(data):
                return data.decode("ascii").strip(" \0")
            if vr == "US" and len(data) == 2:
                return str(data[0] | data[1] << 8)
            if vr == "IS" and _WHOLE_NUMBER.fullmatch(data):
                return data.decode("ascii").strip(" \0")
        value = self._convert(keyword)
        return "" if value is None else str(value).strip().strip("\0").strip()

    def code(self, keyword: str) -> str:
        """A code string in capitals, as the standard requires (VR CS) and some writers forget."""
        return self.text(keyword).upper()

    def texts(self, keyword: str) -> list[str]:
        """The values of a text element without surrounding blanks; empty ones are left out."""
        if self._raw:
            raw = self._raw.get(keyword)
            if raw is None:
                return []
            vr, data, _ = raw
            if (vr or _VRS[keyword]) in _ONE_TEXT and _ONE_VALUE.fullmatch(data):
                value = data.decode("ascii").strip(" \0")
                return [value] if value else []
        values = (str(value).strip().strip("\0").strip() for value in self.values(keyword))
        return [value for value in values if value]

    def integer(self, keyword: str, default: int | None = None) -> int:
        """A whole number.

        Raises:
            QuarantinedError: `missing_tag:<keyword>` without a default, `bad_tag:<keyword>`.
        """
        value = self.text(keyword)
        if not value:
            if default is None:
                raise QuarantinedError(f"missing_tag:{keyword}")
            return default
        try:
            return int(value)
        except ValueError:
            raise QuarantinedError(f"bad_tag:{keyword}") from None

    def values(self, keyword: str) -> list[Any]:
        """The values of an element that may hold several; an empty list if it cannot be read."""
        if self._raw:
            raw = self._raw.get(keyword)
            if raw is None:
                return []
            vr, data, _ = raw
            vr = vr or _VRS[keyword]
            if vr == "DS" and _DECIMALS.fullmatch(data):
                return [float(part) for part in data.strip(b"\0").split(b"\\")]
            if vr == "CS" and _CODES.fullmatch(data):
                return data.decode("ascii").strip(" \0").split("\\")
        value = self._convert(keyword)
        if value is None or value == "":
            return []
        return list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]

    def item(self, keyword: str) -> "Elements | None":
        """The first item of a sequence, if there is one."""
        if self._raw and keyword not in self._raw:
            return None
        try:
            return Elements.from_dataset(self._convert(keyword)[0])
        except Exception:
            return None

    def _convert(self, keyword: str) -> Any:
        """A value by pydicom; null if it is missing or cannot be read."""
        try:
            return self._dataset.get(keyword)
        except Exception:
            return None


@lru_cache
def _encodings(charset: bytes) -> list[str]:
    """Python's names of a Specific Character Set (0008,0005)."""
    stated = charset.decode("iso8859").strip(" \0")
    return convert_encodings(stated.split("\\") if stated else "iso8859")
