"""Read structures in Thrift's compact protocol, as used for Parquet's page headers.

The protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from typing import Any

Fields = dict[int, Any]
"""Values by field number; a nested structure is again Fields."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12
_INTEGERS = (4, 5, 6)
_LISTS = (9, 10)


class ThriftError(ValueError):
    """Bytes that are not a structure, or one with a type that page headers do not have."""


def read_struct(data: bytes, place: int) -> tuple[Fields, int]:
    """The structure at `place`, and where it ends.

    Raises:
        ThriftError: if there is none.
    """
    try:
        return _struct(data, place)
    except IndexError:
        raise ThriftError("ends early") from None


def _struct(data: bytes, place: int) -> tuple[Fields, int]:
    fields: Fields = {}
    number = 0
    while head := data[place]:
        place += 1
        if step := head >> 4:
            number += step
        else:
            number, place = _zigzag(data, place)
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], place = _value(data, place, kind)
    return fields, place + 1


def _value(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _zigzag(data, place)
    if kind in _LISTS:
        return _list(data, place)
    if kind == _BINARY:
        length, place = _varint(data, place)
        return data[place : place + length], place + length
    if kind == _STRUCT:
        return _struct(data, place)
    if kind in (_TRUE, _FALSE, _BYTE):  # the elements of a list of booleans are bytes
        return data[place], place + 1
    if kind == _DOUBLE:
        return data[place : place + 8], place + 8
    raise ThriftError(f"type {kind}")


def _list(data: bytes, place: int) -> tuple[list[Any], int]:
    count, kind = data[place] >> 4, data[place] & 15
    place += 1
    if count == 15:
        count, place = _varint(data, place)
    values = []
    for _ in range(count):
        value, place = _value(data, place, kind)
        values.append(value)
    return values, place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7


def _zigzag(data: bytes, place: int) -> tuple[int, int]:
    value, place = _varint(data, place)
    return (value >> 1) ^ -(value & 1), place
