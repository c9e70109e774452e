"""Whether a header and its pixels say the same, and which of them rules where they do not.

A compressed stream states its own precision, and JPEG 2000 its sign: the decoder follows them
(PS3.5 8.2.1, 8.2.3, 8.2.4) where the header's Bits Stored cannot hold the values. Native pixels
state only their length, after which only padding may come (PS3.5 8.1.1).
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
        QuarantinedError: `malformed`, `truncated`, or `length_mismatch` if there are as many bytes
            more as another image has.
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
    """Hold what follows native pixels against what may follow: zeros, and no further column.

    A picture that ends in black leaves zeros too if its header understates the columns: it is
    sheared, so that with the columns that are missing its rows are more alike.

    Args:
        data: samples of the image, and what follows them, flat.
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
    """Hold a stream's size and components against the header's.

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
    """Hold native pixels whose High Bit leaves bits below the value against their content.

    Raises:
        QuarantinedError: `high_bit_mismatch` if there is something in these bits.
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
        QuarantinedError: `sign_mismatch` if the header has a sign, the stream none, and neither
            reading is much the smoother.
    """
    if np.issubdtype(decoded.dtype, np.signedinteger):
        return 0, _of_values(decoded, stream, instance.grey)
    shift = _shift(decoded, stream, instance)
    return shift, instance.grey if shift else _of_patterns(decoded, stream, instance.grey)


def _of_values(values: NDArray[Any], stream: Stream, grey: GreyScale) -> GreyScale:
    """The reading of values with signs."""
    low = -(1 << grey.bits - 1) if grey.signed else 0
    holds = low <= values.min() and values.max() < low + (1 << grey.bits)
    return grey if holds else grey.read_as(stream.precision, signed=True)


def _shift(patterns: NDArray[Any], stream: Stream, instance: Instance) -> int:
    """Bits below the value, if the stream carries the header's whole cell of pixel and padding."""
    shift = instance.high_bit + 1 - instance.grey.bits
    whole = shift > 0 and stream.precision == instance.high_bit + 1
    return 0 if not whole or (patterns & ((1 << shift) - 1)).any() else shift


def _of_patterns(patterns: NDArray[Any], stream: Stream, grey: GreyScale) -> GreyScale:
    """The reading of values without signs; those of a signed image are two's complements.

    JPEG and JPEG-LS have no other way (PS3.5 8.2.1, 8.2.3). JPEG 2000 has signs of its own, and
    writers do it nevertheless: the reading whose neighbours differ less is taken.
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
