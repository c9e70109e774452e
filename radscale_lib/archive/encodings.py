"""Detect the encoding of a text file from its bytes."""

import codecs
import math
import re
from collections.abc import Callable
from typing import BinaryIO

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE, _CHUNK = 4096, 2**20
_WESTERN_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿŒœŠšŽž"
_WESTERN_SIGNS = bytes(
    [0x80, 0x82, *range(0x84, 0x88), 0x8B, *range(0x91, 0x99), 0x9B, *range(0xA0, 0xC0), 0xD7, 0xF7]
).decode("cp1252")
_WITHIN_WORDS = "\xad\xb4\xb7\u2013\u2014\u2019"
_NEVER_WITHIN_WORDS = "".join(sign for sign in _WESTERN_SIGNS if sign not in _WITHIN_WORDS)
_STRANGE = re.compile(
    f"[^\x00-\x7f{_WESTERN_LETTERS}{_WESTERN_SIGNS}]"
    f"|[{_WESTERN_LETTERS}]{{4}}"  # another script
    f"|[a-z][ŠŽ]|[a-z][{_NEVER_WITHIN_WORDS}][a-z]",  # another code page
)


def encoding_of(opened: Callable[[], BinaryIO], most: int | None = None) -> str | None:
    """The encoding of a file: UTF-8, UTF-16, or Windows-1252 (which Latin-1 texts are, too).

    Other code pages cannot be distinguished with certainty. A file counts as Windows-1252 only if
    its letters are those of Western European languages, in places where words have them.

    Args:
        opened: opens the file from its start.
        most: maximum number of bytes to look at; null looks at all.

    Returns:
        A codec name of Python; null if the file is in none of these.
    """
    with opened() as file:
        start = file.read(_SAMPLE)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name if _decodes(opened, name, most) else None
    zeros = start[0::2].count(0), start[1::2].count(0)
    for name, here, there in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        if zeros[here] * 4 > len(start) / 2 > zeros[there] * 40 and _decodes(opened, name, most):
            return name
    if _decodes(opened, "utf-8", most):
        return "utf-8"
    western = _decodes(opened, "cp1252", most, lambda text: not _STRANGE.search(text))
    return "cp1252" if western else None


def _decodes(
    opened: Callable[[], BinaryIO],
    name: str,
    most: int | None,
    plausible: Callable[[str], bool] = lambda _: True,
) -> bool:
    decoder, left = codecs.getincrementaldecoder(name)(), math.inf if most is None else most
    with opened() as file:
        try:
            while left > 0 and (chunk := file.read(_CHUNK)):
                left -= len(chunk)
                if not plausible(decoder.decode(chunk)):
                    return False
            decoder.decode(b"", final=left > 0)
        except UnicodeDecodeError:
            return False
    return True
