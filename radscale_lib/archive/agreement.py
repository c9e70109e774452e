"""Whether a header and its pixel data agree, and which of the two is believed if they do not.

A compressed stream states its own precision, and JPEG 2000 also its sign; these are believed
(PS3.5 8.2.1, 8.2.3, 8.2.4) where the header's Bits Stored cannot hold the values. Native pixel data
has only a length: any bytes beyond it must be padding (PS3.5 8.1.1).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.grey import GreyScale
from radscale_lib.archive.instance import Instance
from radscale_lib.archive.outcomes import QuarantinedError
from radscale_lib.archive.quickparse import UNDEFINED_LENGTH
from radscale_lib.archive.streams import Stream

_MOST_BITS = 16
_HALVED_WIDTH = ("YBR_FULL_422", "YBR_PARTIAL_422")
"""Spaces in which two pixels share their chrominance: two samples a pixel (PS3.3 C.7.6.3.1.2)."""


def native_length(instance: Instance) -> int:
    """Bytes of an image's native pixels.

    Raises:
        QuarantinedError: `malformed`, `truncated`, or `length_mismatch` if there are enough extra
            bytes for another image.
    """
    samples = 2 if instance.colour in _HALVED_WIDTH else instance.samples
    length = instance.rows * instance.columns * samples * instance.bits_allocated // 8
    found = instance.pixels.length
    if found == UNDEFINED_LENGTH:
        raise QuarantinedError("malformed", "native pixels of undefined length")
    if found < length:
        raise QuarantinedError("truncated", f"{found} of {length} bytes")
    if found >= 2 * length + length % 2:
        raise _too_long(instance, length)
    return length


def check_padding(data: NDArray[Any], instance: Instance) -> None:
    """Check that native pixels are followed by zeros only, and that no column is missing.

    An image with a black lower edge also ends in zeros if its header understates the columns. Such
    an image is sheared: with the missing columns added, neighbouring rows are more alike.

    Args:
        data: samples of the image and whatever follows them, flat.
        instance: what the header says.

    Raises:
        QuarantinedError: `length_mismatch`.
    """
    length = native_length(instance)
    pixels = length // data.itemsize
    added = len(data) - pixels
    if added * data.itemsize <= length % 2:  # an odd length has a byte of padding
        return
    if data[pixels:].any():
        raise _too_long(instance, length)
    if added % instance.rows == 0:
        lines = data[:pixels].reshape(instance.rows, -1)
        wider = data.reshape(instance.rows, -1)
        if _step(wider, axis=0) <= _step(lines, axis=0):
            raise _too_long(instance, length)


def _too_long(instance: Instance, length: int) -> QuarantinedError:
    return QuarantinedError("length_mismatch", f"{instance.pixels.length} bytes for {length}")


def check_shape(stream: Stream, instance: Instance, name: str) -> None:
    """Check that a stream's size and components match the header's.

    Raises:
        QuarantinedError: `shape_mismatch`, `samples_mismatch`, `unsupported_bits` or, in colour,
            `precision_mismatch`.
    """
    if stream[:2] != (instance.rows, instance.columns):
        raise QuarantinedError("shape_mismatch", name)
    if stream.components != instance.samples:
        detail = f"{stream.components} components for {instance.samples}"
        raise QuarantinedError("samples_mismatch", detail)
    if stream.precision > _MOST_BITS:
        raise QuarantinedError("unsupported_bits", f"a stream of {stream.precision}")
    if instance.colour and stream.precision > instance.grey.bits:
        detail = f"{stream.precision} bits for {instance.grey.bits}"
        raise QuarantinedError("precision_mismatch", detail)


def check_low_bits(patterns: NDArray[np.unsignedinteger[Any]], instance: Instance) -> None:
    """Check that bits below the value, where High Bit leaves some in native pixels, are unused.

    Raises:
        QuarantinedError: `high_bit_mismatch` if any of these bits is set.
    """
    shift = instance.high_bit + 1 - instance.grey.bits
    if shift and (patterns & ((1 << shift) - 1)).any():
        detail = f"high bit {instance.high_bit} of {instance.grey.bits} bits, data below"
        raise QuarantinedError("high_bit_mismatch", detail)


def reading(decoded: NDArray[Any], stream: Stream, instance: Instance) -> tuple[int, GreyScale]:
    """How the values of a decoded stream are to be read.

    Header and stream may differ as long as the header's bits hold every value: a stream of 16 bits
    often carries 12. Where they do not, the stream's precision counts, and its sign.

    Args:
        decoded: integers [H, W], signed if the stream is.
        stream: what the stream says.
        instance: what the header says.

    Returns:
        How far to shift values down, and the grey scale by which to read them.

    Raises:
        QuarantinedError: `sign_mismatch` if the header is signed, the stream is not, and neither
            reading is much smoother.
    """
    if np.issubdtype(decoded.dtype, np.signedinteger):
        return 0, _of_values(decoded, stream, instance.grey)
    shift = _shift(decoded, stream, instance)
    return shift, instance.grey if shift else _of_patterns(decoded, stream, instance.grey)


def _of_values(values: NDArray[Any], stream: Stream, grey: GreyScale) -> GreyScale:
    """How to read signed values."""
    low = -(1 << grey.bits - 1) if grey.signed else 0
    holds = low <= values.min() and values.max() < low + (1 << grey.bits)
    return grey if holds else grey.read_as(stream.precision, signed=True)


def _shift(patterns: NDArray[Any], stream: Stream, instance: Instance) -> int:
    """Number of bits below the value, if the stream carries the whole pixel cell."""
    shift = instance.high_bit + 1 - instance.grey.bits
    whole = shift > 0 and stream.precision == instance.high_bit + 1
    return 0 if not whole or (patterns & ((1 << shift) - 1)).any() else shift


def _of_patterns(patterns: NDArray[Any], stream: Stream, grey: GreyScale) -> GreyScale:
    """How to read unsigned values; in a signed image they are two's complements.

    JPEG and JPEG-LS allow nothing else (PS3.5 8.2.1, 8.2.3). JPEG 2000 has a sign flag that some
    writers ignore: the reading in which neighbouring pixels differ less is taken.
    """
    most, bits = int(patterns.max()), grey.bits
    if not grey.signed:
        return grey if most < 1 << bits else grey.read_as(stream.precision, signed=False)
    half = 1 << (bits - 1)
    extended = (patterns < half) | (patterns >= (1 << stream.precision) - half)
    if most >= 2 * half and not extended.all():
        bits = stream.precision
    sign = min(bits, stream.precision)
    if most < 1 << (sign - 1) or (stream.signed is None and sign == bits):
        return grey.read_as(bits, signed=True)
    plain = patterns.astype(np.int32)
    wrapped = plain & ((1 << sign) - 1)
    wrapped -= wrapped >> (sign - 1) << sign
    rough, smooth = _roughness(plain), _roughness(wrapped)
    if 2 * smooth < rough:
        return grey.read_as(sign, signed=True)
    if 2 * rough < smooth or rough == smooth:
        return grey.read_as(max(bits, stream.precision), signed=False)
    raise QuarantinedError("sign_mismatch")


def _roughness(values: NDArray[np.int32]) -> float:
    """Mean step between neighbours."""
    return _step(values, axis=0) + _step(values, axis=1)


def _step(values: NDArray[Any], axis: int) -> float:
    return float(np.abs(np.diff(values.astype(np.int32), axis=axis)).mean())
