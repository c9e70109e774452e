"""Decoding: from the file's Pixel Data to stored bit patterns.

imagecodecs decodes encapsulated frames; where it fails, pydicom's plug-ins are asked. Bits stored,
signs and overlays, which imagecodecs does not know of, are treated here (PS3.5 8.1).
"""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array

from radscale_lib.archive.deflated import inflate
from radscale_lib.archive.instance import Instance
from radscale_lib.archive.outcomes import QuarantinedError
from radscale_lib.archive.quickparse import UNDEFINED_LENGTH
from radscale_lib.archive.rle import decode_rle
from radscale_lib.archive.streams import is_complete, stream_size
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
"""Second choices. GDCM is left out: it can abort the process, so that one bad file ends the job."""


def stored_patterns(instance: Instance) -> Patterns:
    """Decode an image to its stored bit patterns, uint8 or uint16 [H, W] below 2^BitsStored.

    A signed value is its two's complement of BitsStored bits. A lossy decoder may overshoot, so its
    values are clipped; elsewhere bits above BitsStored are no part of the pixel and are masked.

    Raises:
        QuarantinedError: `truncated`, `unsupported_syntax`, `decode_failed` or `shape_mismatch`.
    """
    native = instance.transfer_syntax in NATIVE
    raw = _native(instance) if native else _encapsulated(instance)
    if raw.shape != (instance.rows, instance.columns):
        raise QuarantinedError("shape_mismatch", syntax_name(instance.transfer_syntax))
    bits = instance.grey.bits
    if instance.transfer_syntax in _LOSSY:
        signed = np.issubdtype(raw.dtype, np.signedinteger)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        raw = np.clip(raw, low, high)
    unsigned = raw.view(f"u{raw.dtype.itemsize}")
    if not unsigned.flags.writeable:
        unsigned = unsigned.copy()
    shift = instance.high_bit + 1 - bits
    if shift:
        unsigned >>= shift
    if bits < 8 * raw.dtype.itemsize:
        unsigned &= (1 << bits) - 1
    return unsigned if unsigned.itemsize <= 2 else unsigned.astype(np.uint16)


def _native(instance: Instance) -> NDArray[Any]:
    itemsize = instance.bits_allocated // 8
    length = instance.rows * instance.columns * itemsize
    if instance.pixels.length == UNDEFINED_LENGTH:
        raise QuarantinedError("malformed", "native pixels of undefined length")
    if instance.pixels.length < length:
        raise QuarantinedError("truncated", f"{instance.pixels.length} of {length} bytes")
    if instance.transfer_syntax == uid.ExplicitVRBigEndian and itemsize == 1:
        # Bytes may be swapped within words, by the element's VR: pydicom knows.
        return _by_plugins(instance)
    data = np.empty(length, np.uint8)
    with instance.path.open("rb", buffering=0) as file:
        deflated = instance.transfer_syntax == uid.DeflatedExplicitVRLittleEndian
        source = io.BytesIO(inflate(file)[1]) if deflated else file
        source.seek(instance.pixels.offset)
        read = source.readinto(data.data)
    if read < length:
        raise QuarantinedError("truncated", f"{read} of {length} bytes")
    order = ">" if instance.transfer_syntax == uid.ExplicitVRBigEndian else "<"
    pixels = data.view(f"{order}u{itemsize}").reshape(instance.rows, instance.columns)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def checked_frame(instance: Instance) -> bytes:
    """The encoded frame of an encapsulated image, after a look at its end and its own header.

    Raises:
        QuarantinedError: `truncated`, `unsupported_syntax`, `decode_failed` or `shape_mismatch`.
    """
    name = syntax_name(instance.transfer_syntax)
    if name == UNLISTED or uid.UID(instance.transfer_syntax).is_private:
        raise QuarantinedError("unsupported_syntax", name)
    frame = _frame(instance)
    if instance.transfer_syntax in _DECODERS:
        _check_stream(frame, instance, name)
    return frame


def _encapsulated(instance: Instance) -> NDArray[Any]:
    frame = checked_frame(instance)
    try:
        return _by_imagecodecs(instance, frame)
    except Exception:
        return _by_plugins(instance)


def _check_stream(frame: bytes, instance: Instance, name: str) -> None:
    if not is_complete(frame):
        # Some decoders would fill the missing rest with grey, without a word.
        raise QuarantinedError("truncated", "no end-of-image marker")
    size = stream_size(frame)
    if size is None:
        raise QuarantinedError("decode_failed", name)
    if size != (instance.rows, instance.columns, instance.samples):
        raise QuarantinedError("shape_mismatch", name)


def _frame(instance: Instance) -> bytes:
    """The encoded bytes of the only frame (PS3.5 A.4)."""
    if instance.pixels.length != UNDEFINED_LENGTH:
        raise QuarantinedError("malformed", "compressed pixels of defined length")
    with instance.path.open("rb") as file:
        file.seek(instance.pixels.offset)
        try:
            return next(generate_frames(file, number_of_frames=1))
        except Exception as error:
            raise QuarantinedError("truncated", type(error).__name__) from None


def _by_imagecodecs(instance: Instance, frame: bytes) -> NDArray[Any]:
    if instance.transfer_syntax == uid.RLELossless:
        shape = instance.rows, instance.columns
        return decode_rle(frame, shape, instance.bits_allocated // 8)
    with _ignored_errors_raised():
        return _DECODERS[instance.transfer_syntax](frame)


@contextmanager
def _ignored_errors_raised() -> Iterator[None]:
    """Raise what a decoder could only report as unraisable.

    imagecodecs' HTJ2K decoder reports an error within the stream in no other way, and returns an
    image whose rest is whatever was in memory.
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
    """Go on after a decoder's failure: one in Rust panics, which is no `Exception`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return


def _by_plugins(instance: Instance) -> NDArray[Any]:
    for plugin in PLUGINS if instance.transfer_syntax not in NATIVE else ("",):
        with failures_ignored():
            pixels = pixel_array(str(instance.path), raw=True, index=0, decoding_plugin=plugin)
            if np.issubdtype(pixels.dtype, np.integer):
                return pixels
    raise QuarantinedError("decode_failed", syntax_name(instance.transfer_syntax))
