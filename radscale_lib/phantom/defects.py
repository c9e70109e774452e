"""Defective files planted among the intact ones, cycling through the kinds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from radscale_lib.phantom.dicom import dataset, to_bytes
from radscale_lib.phantom.draws import stream, uid
from radscale_lib.phantom.film import Film
from radscale_lib.phantom.population import Study


def _truncated_pixels(study: Study, film: Film) -> bytes:
    content = to_bytes(_own_instance(study, film))
    return content[: len(content) - film.grey.size]


def _truncated_header(study: Study, film: Film) -> bytes:
    return to_bytes(_own_instance(study, film))[:300]


def _not_dicom(study: Study, film: Film) -> bytes:
    return b"This file has a DICOM name and no DICOM content.\n" * 8


def _no_pixels(study: Study, film: Film) -> bytes:
    instance = _own_instance(study, film)
    del instance.PixelData
    return to_bytes(instance)


def _corrupt_stream(study: Study, film: Film) -> bytes:
    instance = _own_instance(study, film, JPEG2000Lossless)
    value = bytearray(instance.PixelData)
    start = value.index(b"\xff\x4f\xff\x51") + 2
    noise = stream(*study.key, "corrupt").integers(0, 255, len(value) - start - 8, np.uint8)
    value[start : start + len(noise)] = noise.tobytes()
    instance.PixelData = bytes(value)
    return to_bytes(instance)


def _no_rows(study: Study, film: Film) -> bytes:
    instance = _own_instance(study, film)
    del instance.Rows
    return to_bytes(instance)


def _empty(study: Study, film: Film) -> bytes:
    return b""


def _duplicate(study: Study, film: Film) -> bytes:
    return to_bytes(dataset(study, 0, film))


def _own_instance(study: Study, film: Film, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """The study's first film again, with an instance UID of its own."""
    instance = dataset(study, 0, film, syntax)
    instance.SOPInstanceUID = uid("defect", *study.key)
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    return instance


KINDS: dict[str, Callable[[Study, Film], bytes]] = {
    "truncated pixel data": _truncated_pixels,
    "truncated header": _truncated_header,
    "not DICOM": _not_dicom,
    "no pixel data": _no_pixels,
    "corrupt JPEG 2000 stream": _corrupt_stream,
    "no rows": _no_rows,
    "empty file": _empty,
    "duplicate instance": _duplicate,
}
"""Content of a defective file by kind, made from a study's first film."""


@dataclass(frozen=True)
class Defect:
    """A defective file to plant beside the first study of a patient."""

    kind: str
    patient: int


def plan_defects(seed: int, site: str, patients: int, count: int) -> dict[int, list[Defect]]:
    """Assign kinds in turn to random patients; the result is by patient number."""
    rng = stream(seed, site, "defects")
    kinds = list(KINDS)
    planned: dict[int, list[Defect]] = {}
    for number in range(count):
        defect = Defect(kinds[number % len(kinds)], int(rng.integers(patients)))
        planned.setdefault(defect.patient, []).append(defect)
    return planned
