"""Locate each value of a Parquet column in its file.

A required BYTE_ARRAY column whose chunks are PLAIN and uncompressed stores, page by page, the
length (4 bytes, little-endian) and the bytes of each value (Parquet format, "Encodings"). Nothing
else of the file needs to be read for one value.
"""

import struct
from typing import NamedTuple

import pyarrow.parquet as pq

from radscale_lib.shards.thrift import ThriftError, read_struct

# Fields of PageHeader, DataPageHeader and DataPageHeaderV2 (parquet.thrift).
_TYPE, _COMPRESSED_SIZE, _DATA_PAGE, _DATA_PAGE_V2 = 1, 3, 5, 8
_VALUES, _ENCODING, _ENCODING_V2 = 1, 2, 4
_PLAIN = 0
_LENGTH = struct.Struct("<I")


class NotAddressableError(ValueError):
    """A column whose values are not stored verbatim in the file."""


class Chunk(NamedTuple):
    """A column chunk: its number of values, and its place in the file."""

    values: int
    offset: int
    size: int


def chunk_of(metadata: pq.FileMetaData, group: int, column: str) -> Chunk:
    """The chunk of a column in a row group.

    Raises:
        NotAddressableError: with the reason.
    """
    index = metadata.schema.to_arrow_schema().names.index(column)
    description = metadata.schema.column(index)
    if description.path != column or description.physical_type != "BYTE_ARRAY":
        raise NotAddressableError(f"column {column} is not a plain column of bytes")
    if description.max_definition_level or description.max_repetition_level:
        raise NotAddressableError(f"column {column} may hold nulls or lists")
    chunk = metadata.row_group(group).column(index)
    if chunk.compression != "UNCOMPRESSED":
        raise NotAddressableError(f"column {column} is compressed ({chunk.compression})")
    if chunk.has_dictionary_page or "PLAIN" not in chunk.encodings:
        raise NotAddressableError(f"column {column} is encoded ({', '.join(chunk.encodings)})")
    return Chunk(chunk.num_values, chunk.data_page_offset, chunk.total_compressed_size)


def value_ranges(data: bytes, values: int) -> list[tuple[int, int]]:
    """Offset and length of each value of a chunk, relative to the chunk's first byte.

    Args:
        data: the bytes of the chunk.
        values: number of its values.

    Raises:
        NotAddressableError: if a page is not PLAIN, or its values do not fill it exactly.
    """
    ranges: list[tuple[int, int]] = []
    place = 0
    while len(ranges) < values:
        try:
            header, start = read_struct(data, place)
            count = _plain_values(header)
            place = start + header[_COMPRESSED_SIZE]
        except (ThriftError, KeyError, TypeError):
            raise NotAddressableError("a page has no readable header") from None
        at = start
        for _ in range(count):
            if at + _LENGTH.size > place:
                raise NotAddressableError("the values of a page run over its end")
            (length,) = _LENGTH.unpack_from(data, at)
            ranges.append((at + _LENGTH.size, length))
            at += _LENGTH.size + length
        if at != place or place > len(data):
            raise NotAddressableError("the values of a page do not fill it")
    return ranges


def _plain_values(header: dict[int, dict[int, int]]) -> int:
    """Number of values of a data page."""
    if _DATA_PAGE in header:
        page, encoding = header[_DATA_PAGE], _ENCODING
    else:
        page, encoding = header[_DATA_PAGE_V2], _ENCODING_V2
    if page[encoding] != _PLAIN:
        raise NotAddressableError("a page is not PLAIN")
    return page[_VALUES]
