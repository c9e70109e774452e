"""The dataset of a file in Deflated Explicit VR Little Endian (PS3.5 A.5)."""

import zlib
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from radscale_lib.archive.outcomes import QuarantinedError
from radscale_lib.archive.quickparse import Meta, parse_meta

MOST_BYTES = 2**29
"""Far above any radiograph; a few megabytes of a hostile file can inflate to terabytes."""
_META_BYTES = 2**15


def inflate(file: BinaryIO) -> tuple[Meta, bytes]:
    """File Meta Information, and the inflated dataset after it.

    Raises:
        QuarantinedError: `too_large`, `truncated` or `malformed`.
    """
    file.seek(0)
    meta = parse_meta(file.read(_META_BYTES))
    if meta is None or meta.transfer_syntax != DeflatedExplicitVRLittleEndian:
        raise QuarantinedError("malformed", "file meta information")
    file.seek(meta.end)
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(file.read(), MOST_BYTES)
    except zlib.error:
        raise QuarantinedError("malformed", "the deflated dataset") from None
    if inflater.unconsumed_tail:
        raise QuarantinedError("too_large", f"inflates to more than {MOST_BYTES} bytes")
    if not inflater.eof:
        raise QuarantinedError("truncated", "in the deflated dataset")
    return meta, data
