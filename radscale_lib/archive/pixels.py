"""Decoding: from the file's Pixel Data to stored bit patterns.

imagecodecs decodes encapsulated frames; if it fails, pydicom's plug-ins are tried. Bits stored,
signs and overlays, which imagecodecs does not know about, are handled here (PS3.5 8.1).
"""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import generate_fragmented_frames
from pydicom.pixels.utils import pixel_array

from radscale_lib.archive.agreement import (
    check_low_bits,
    check_padding,
    check_shape,
    native_length,
    reading,
)
from radscale_lib.archive.deflated import inflate
from radscale_lib.archive.grey import GreyScale
from radscale_lib.archive.instance import Instance
from radscale_lib.archive.outcomes import QuarantinedError, is_environment
from radscale_lib.archive.quickparse import UNDEFINED_LENGTH
from radscale_lib.archive.rle import decode_rle
from radscale_lib.archive.streams import Stream, is_complete, starts_stream, stream_of
from radscale_lib.archive.terms import UNLISTED, syntax_name

Patterns = NDArray[np.unsignedinteger[Any]]
Decoder = Callable[[bytes], NDArray[Any]]

_JPEG = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
)
_DECODERS: dict[str, Decoder] = {
    **dict.fromkeys(_JPEG, imagecodecs.jpeg_decode),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), imagecodecs.jpegls_decode),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), imagecodecs.jpeg2k_decode),
    **dict.fromkeys(
        (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), imagecodecs.htj2k_decode
    ),
}
NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
}
_LOSSY = {
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
}
PLUGINS = ("pylibjpeg", "pyjpegls", "pillow")
"""Fallbacks. GDCM is left out: it can abort the process, so that one bad file ends the job."""


def stored_patterns(instance: Instance) -> tuple[Patterns, GreyScale]:
    """Decode an image to its stored bit patterns, and the grey scale by which to read them.

    Patterns are uint8 or uint16 [H, W] below 2^bits; signed values are two's complements of the
    same number of bits. A lossy decoder may overshoot, so its values are clipped; in native pixels
    and RLE, bits above Bits Stored are not part of the pixel and are masked.

    Raises:
        QuarantinedError: `truncated`, `unsupported_syntax`, `decode_failed`, or one of
            `agreement.py`.
    """
    syntax = instance.transfer_syntax
    stream, grey = None, instance.grey
    if syntax in NATIVE:
        raw = _native(instance)
    else:
        frame, stream = checked_frame(instance)
        raw = _encapsulated(instance, frame)
    if raw.shape != (instance.rows, instance.columns):
        raise QuarantinedError("shape_mismatch", syntax_name(syntax))
    if stream is None:
        unsigned = _writable(raw.view(f"u{raw.dtype.itemsize}"))
        check_low_bits(unsigned, instance)
        shift = instance.high_bit + 1 - grey.bits
    else:
        if syntax in _LOSSY:
            raw = _without_overshoot(raw, grey)
        shift, grey = reading(raw, stream, instance)
        unsigned = _writable(raw.view(f"u{raw.dtype.itemsize}"))
    if shift:
        unsigned >>= shift
    if grey.bits < 8 * raw.dtype.itemsize:
        unsigned &= (1 << grey.bits) - 1
    return unsigned if unsigned.itemsize <= 2 else unsigned.astype(np.uint16), grey


def _writable(pixels: Patterns) -> Patterns:
    return pixels if pixels.flags.writeable else pixels.copy()


def _without_overshoot(raw: NDArray[Any], grey: GreyScale) -> NDArray[Any]:
    """Clip what a lossy decoder returns beyond the range of its input.

    12-bit lossy JPEG is used for anything from 9 to 12 bits, and other streams often state 16: up
    to an eighth of the header's range counts as overshoot, more as a different precision.
    """
    signed = np.issubdtype(raw.dtype, np.signedinteger)
    span = 1 << grey.bits
    low = -span // 2 if signed else 0
    high, margin = low + span - 1, span // 8
    beyond = raw.min() < low - margin or raw.max() > high + margin
    if beyond or (signed and not grey.signed):
        return raw
    clipped: NDArray[Any] = np.clip(raw, low, high)
    return clipped


def _native(instance: Instance) -> NDArray[Any]:
    itemsize = instance.bits_allocated // 8
    length = native_length(instance)
    order = ">" if instance.transfer_syntax == uid.ExplicitVRBigEndian else "<"
    with instance.path.open("rb", buffering=0) as file:
        deflated = instance.transfer_syntax == uid.DeflatedExplicitVRLittleEndian
        source = io.BytesIO(inflate(file)[1]) if deflated else file
        data = _read(source, instance.pixels.offset, length)
        if instance.pixels.length - length % 2 > length:
            longer = _read(source, instance.pixels.offset, instance.pixels.length)
            samples = longer[: len(longer) // itemsize * itemsize].view(f"{order}u{itemsize}")
            check_padding(samples, instance)
    if order == ">" and itemsize == 1:
        # Bytes may be swapped within words, depending on the VR; pydicom handles that.
        return _by_plugins(instance)
    pixels = data.view(f"{order}u{itemsize}").reshape(instance.rows, instance.columns)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _read(source: io.BufferedIOBase | io.RawIOBase, offset: int, length: int) -> NDArray[np.uint8]:
    data = np.empty(length, np.uint8)
    source.seek(offset)
    read = source.readinto(data.data)
    if read is None or read < length:
        raise QuarantinedError("truncated", f"{read} of {length} bytes")
    return data


def checked_frame(instance: Instance) -> tuple[bytes, Stream | None]:
    """The encoded frame of an encapsulated image, once its end and its own header are checked.

    Returns:
        The frame and its own header; null for RLE and for formats that imagecodecs does not know.

    Raises:
        QuarantinedError: `truncated`, `unsupported_syntax`, `decode_failed`, or one of
            `agreement.py`.
    """
    name = syntax_name(instance.transfer_syntax)
    if name == UNLISTED or uid.UID(instance.transfer_syntax).is_private:
        raise QuarantinedError("unsupported_syntax", name)
    frame = _frame(instance)
    if instance.transfer_syntax not in _DECODERS:
        return frame, None
    if not is_complete(frame):
        # Some decoders silently fill missing rows with grey.
        raise QuarantinedError("truncated", "no end-of-image marker")
    stream = stream_of(frame)
    if stream is None:
        raise QuarantinedError("decode_failed", name)
    check_shape(stream, instance, name)
    return frame, stream


def _encapsulated(instance: Instance, frame: bytes) -> NDArray[Any]:
    try:
        return _by_imagecodecs(instance, frame)
    except (MemoryError, QuarantinedError):
        raise
    except Exception:
        return _by_plugins(instance)


def _frame(instance: Instance) -> bytes:
    """The encoded bytes of the only frame (PS3.5 A.4)."""
    if instance.pixels.length != UNDEFINED_LENGTH:
        raise QuarantinedError("malformed", "compressed pixels of defined length")
    with instance.path.open("rb") as file:
        file.seek(instance.pixels.offset)
        frames = generate_fragmented_frames(file, number_of_frames=1)
        try:
            fragments = next(frames)
        except Exception as error:
            if is_environment(error):
                raise
            raise QuarantinedError("truncated", type(error).__name__) from None
        with suppress(Exception):
            fragments = (*fragments, *next(frames, ()))
    if any(map(starts_stream, fragments[1:])):
        raise QuarantinedError("frames_mismatch", "more than one stream")
    return b"".join(fragments)


def _by_imagecodecs(instance: Instance, frame: bytes) -> NDArray[Any]:
    if instance.transfer_syntax == uid.RLELossless:
        shape = instance.rows, instance.columns
        return decode_rle(frame, shape, instance.bits_allocated // 8)
    with _ignored_errors_raised():
        return _DECODERS[instance.transfer_syntax](frame)


@contextmanager
def _ignored_errors_raised() -> Iterator[None]:
    """Raise errors that a decoder can only report as unraisable.

    imagecodecs' HTJ2K decoder reports an error within the stream in no other way, and returns an
    image with uninitialised memory after the error.
    """
    ignored: list[object] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda report: ignored.append(report.exc_type)
    try:
        yield
    finally:
        sys.unraisablehook = hook
    if ignored:
        raise RuntimeError("the decoder failed within the stream")


@contextmanager
def failures_ignored() -> Iterator[None]:
    """Continue after a decoder's failure; a decoder in Rust panics, which is not an `Exception`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        if is_environment(error):
            raise


def _by_plugins(instance: Instance) -> NDArray[Any]:
    for plugin in PLUGINS if instance.transfer_syntax not in NATIVE else ("",):
        with failures_ignored():
            pixels = pixel_array(str(instance.path), raw=True, index=0, decoding_plugin=plugin)
            if np.issubdtype(pixels.dtype, np.integer):
                return pixels
    raise QuarantinedError("decode_failed", syntax_name(instance.transfer_syntax))
