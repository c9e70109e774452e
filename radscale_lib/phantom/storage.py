"""Turn grey into stored pixel values, with the attributes that restore the displayed grey.

The display pipeline is the standard's (PS3.4, N.2): stored values, modality transform, VOI
transform, and presentation, which inverts MONOCHROME1.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, HTJ2KLossless

from radscale_lib.phantom.canvas import Plane
from radscale_lib.phantom.encode import Pixels, encode
from radscale_lib.phantom.sites import Scanner

Modality = Literal["absent", "identity", "rescaled", "signed", "table"]

_TABLE_EXPONENT = 1.25
_TABLE_TOP = 2**16 - 1


def add_pixels(
    instance: Dataset, grey: Plane, scanner: Scanner, syntax: UID, rng: np.random.Generator
) -> None:
    """Add the Image Pixel, Modality LUT and VOI LUT attributes and the pixel data of a film.

    HTJ2K stores 16 bits for every scanner, since its encoder writes no other depth. Lookup tables
    are limited to 12 bits, and not used in big-endian files.
    """
    bits = 16 if syntax == HTJ2KLossless else scanner.bits
    low, high = rng.uniform(0.0, 0.06), rng.uniform(0.90, 1.0)
    share = low + (high - low) * grey
    if scanner.inverted:
        share, low, high = 1 - share, 1 - high, 1 - low
    tables = bits <= 12 and syntax != ExplicitVRBigEndian
    modality = _choose_modality(scanner, tables, syntax.is_encapsulated, rng)

    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME1" if scanner.inverted else "MONOCHROME2"
    instance.PresentationLUTShape = "INVERSE" if scanner.inverted else "IDENTITY"
    instance.Rows, instance.Columns = grey.shape
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, bits, bits - 1
    instance.PixelRepresentation = int(modality == "signed")
    pixels, window = _transform(instance, share, (low, high), bits, modality)
    if scanner.window == "lut" and tables and modality in ("absent", "identity"):
        instance.VOILUTSequence = Sequence([_voi_table(window, bits)])
    else:
        _add_window(instance, scanner, window, rng)
    instance.PixelData = encode(pixels, syntax, bits)
    instance["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"


def _choose_modality(
    scanner: Scanner, tables: bool, encapsulated: bool, rng: np.random.Generator
) -> Modality:
    draw = rng.random()
    if tables and draw < 0.04:
        return "table"
    if not encapsulated and draw < 0.10:
        return "signed"
    if draw < 0.18:
        return "rescaled"
    return "identity" if scanner.modality == "DX" else "absent"


def _transform(
    instance: Dataset,
    share: Plane,
    span: tuple[float, float],
    bits: int,
    modality: Modality,
) -> tuple[Pixels, tuple[float, float]]:
    """Add the modality transform; return stored values, and `span` in modality values."""
    top, middle = 2**bits - 1, 2 ** (bits - 1)
    low, high = span
    if modality == "table":
        curve = np.power(np.arange(top + 1) / top, _TABLE_EXPONENT)
        item = _table(np.round(_TABLE_TOP * curve))
        item.ModalityLUTType = "US"
        instance.ModalityLUTSequence = Sequence([item])
        stored = np.round(top * np.power(share, 1 / _TABLE_EXPONENT))
        return stored.astype(np.uint16), (low * _TABLE_TOP, high * _TABLE_TOP)
    stored = np.round(top * share)
    intercept, slope = {
        "absent": (0.0, 1.0),
        "identity": (0.0, 1.0),
        "rescaled": (-1024.0, 0.5),
        "signed": (float(middle), 1.0),
    }[modality]
    if modality != "absent":
        instance.RescaleIntercept, instance.RescaleSlope = f"{intercept:g}", f"{slope:g}"
        instance.RescaleType = "US"
    if modality == "signed":
        return (stored - middle).astype(np.int16), (low * top, high * top)
    return stored.astype(np.uint16), (
        slope * top * low + intercept,
        slope * top * high + intercept,
    )


def _add_window(
    instance: Dataset,
    scanner: Scanner,
    window: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Window attributes that span the film's own range (PS3.3, C.11.2); some films have two."""
    if scanner.window == "none":
        return
    centre, width = sum(window) / 2, window[1] - window[0]
    if rng.random() < 0.1:
        instance.WindowCenter = [f"{centre:.6g}", f"{centre:.6g}"]
        instance.WindowWidth = [f"{width:.6g}", f"{1.5 * width:.6g}"]
    else:
        instance.WindowCenter, instance.WindowWidth = f"{centre:.6g}", f"{width:.6g}"
    if scanner.window in ("sigmoid", "linear_exact"):
        instance.VOILUTFunction = scanner.window.upper()


def _voi_table(window: tuple[float, float], bits: int) -> Dataset:
    at = (np.arange(2**bits) - sum(window) / 2) / (window[1] - window[0])
    return _table(np.round(_TABLE_TOP / (1 + np.exp(-5 * at))))


def _table(curve: npt.NDArray[np.float64]) -> Dataset:
    """A lookup table item: descriptor (entries, first mapped value, bits) and 16-bit data."""
    item = Dataset()
    item.LUTDescriptor = [len(curve), 0, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTExplanation = "phantom"
    item.LUTData = curve.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item
