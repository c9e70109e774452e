"""Colour and palette images as grey: their luminance.

Y = 0.299 R + 0.587 G + 0.114 B, by which PS3.3 C.7.6.3.1.2 defines the Y of YBR_FULL; those images
bring their own Y. Colour is rare among radiographs (secondary captures, scanned films), so planes,
palettes and colour spaces are left to pydicom.
"""

from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from radscale_lib.archive.agreement import check_padding, native_length
from radscale_lib.archive.grey import GreyScale
from radscale_lib.archive.instance import Instance
from radscale_lib.archive.outcomes import QuarantinedError, is_environment
from radscale_lib.archive.pixels import (
    NATIVE,
    PLUGINS,
    Patterns,
    checked_frame,
    failures_ignored,
)
from radscale_lib.archive.terms import syntax_name

_JPEG_LOSSLESS = {uid.JPEGLossless, uid.JPEGLosslessSV1}


def luminance_patterns(instance: Instance) -> tuple[Patterns, GreyScale]:
    """Luminance of a colour or palette image, uint8 or uint16 [H, W], rounded; and its scale.

    Raises:
        QuarantinedError: `malformed`, `truncated`, `unsupported_syntax`, `decode_failed`, one of
            `agreement.py`, or `bad_tag:…` of a palette that cannot be applied.
    """
    try:
        dataset = pydicom.dcmread(instance.path)
    except Exception as error:
        if is_environment(error):
            raise
        raise QuarantinedError("malformed", type(error).__name__) from None
    dataset.PhotometricInterpretation = instance.colour
    pixels, space = _decoded(instance, dataset)
    if pixels.shape[:2] != (instance.rows, instance.columns):
        raise QuarantinedError("shape_mismatch", syntax_name(instance.transfer_syntax))
    if space == "PALETTE COLOR":
        try:
            pixels = apply_color_lut(pixels, dataset)
        except Exception:
            raise QuarantinedError("bad_tag:RedPaletteColorLookupTableDescriptor") from None
    if pixels.ndim != 3 or not np.issubdtype(pixels.dtype, np.unsignedinteger):
        raise QuarantinedError("decode_failed", syntax_name(instance.transfer_syntax))
    grey = pixels[..., 0] if space.startswith("YBR") else luminance(pixels)
    most = min((1 << instance.grey.bits) - 1, np.iinfo(grey.dtype).max)
    patterns: Patterns = np.minimum(grey, most).astype(
        np.uint8 if grey.itemsize == 1 else np.uint16
    )
    return patterns, instance.grey


def luminance(rgb: NDArray[np.unsignedinteger[Any]]) -> Patterns:
    """Rounded luminance of unsigned integers [H, W, 3 or more], of the same type."""
    red, green, blue = (rgb[..., i].astype(np.uint32) for i in range(3))
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(rgb.dtype)


def _decoded(instance: Instance, dataset: FileDataset) -> tuple[NDArray[Any], str]:
    """Decoded pixels, and the photometric interpretation that they are in."""
    syntax = instance.transfer_syntax
    name, native = syntax_name(syntax), syntax in NATIVE
    if native:
        native_length(instance)
        check_padding(np.frombuffer(dataset.PixelData, np.uint8), instance)
    else:
        frame, _ = checked_frame(instance)
        if syntax in _JPEG_LOSSLESS:  # no plug-in decodes it; the process does not change colours
            try:
                return imagecodecs.jpeg_decode(frame), str(instance.colour)
            except MemoryError:
                raise
            except Exception:
                raise QuarantinedError("decode_failed", name) from None
    for plugin in ("",) if native else PLUGINS:
        with failures_ignored():
            pixels, made = get_decoder(syntax).as_array(
                dataset, raw=True, index=0, decoding_plugin=plugin
            )
            return pixels, str(made["photometric_interpretation"])
    raise QuarantinedError("decode_failed", name)
