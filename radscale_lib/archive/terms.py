"""The only header values that may be reported: terms of the DICOM standard.

A header field can hold any text, including an identifier, whatever its name. Values that are not
on these lists are reported as `unlisted`.
"""

from pydicom.uid import UID

UNLISTED = "unlisted"

MODALITIES = frozenset({
    "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG", "DMS",
    "DOC", "DX", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL",
    "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM",
    "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG",
    "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD",
    "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP", "TG",
    "US", "VA", "XA", "XAPROTOCOL", "XC", "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS",
    "EC", "FA", "FS", "LP", "MA", "MS", "OPR", "ST", "VF",
})  # fmt: skip
"""Defined terms of Modality, the retired ones last (PS3.3 C.7.3.1.1.1)."""

PHOTOMETRIC = frozenset({
    "MONOCHROME1", "MONOCHROME2", "RGB", "HSV", "ARGB", "CMYK", "YBR_FULL", "YBR_FULL_422",
    "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB", "PALETTE COLOR",
})  # fmt: skip
"""Photometric interpretations, the retired ones too (PS3.3 C.7.6.3.1.2)."""

CONVERTIBLE = frozenset({
    "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT",
})  # fmt: skip
"""Photometric interpretations of colour with full-range luminance."""


def listed(term: str, terms: frozenset[str]) -> str:
    """The term if it is on the list."""
    return term if term in terms else UNLISTED


def syntax_name(uid: str) -> str:
    """Name of a transfer syntax (PS3.6)."""
    return _uid_name(uid, "Transfer Syntax")


def sop_class_name(uid: str) -> str:
    """Name of a storage class (PS3.6)."""
    return _uid_name(uid, "SOP Class")


def _uid_name(uid: str, wanted: str) -> str:
    known = UID(uid)
    return known.name if known.type == wanted else UNLISTED
