"""Make external text safe to show: names in headers, titles, labels, logs."""

import re

_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Zero-width characters, which change the direction of text or are invisible."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters except tab and line feed: terminals act on them, and XML forbids them."""
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Surrogates for bytes of file names that are not UTF-8, which cannot be printed."""


def plain(text: str) -> str:
    """A text without characters on which a terminal or a browser would act; line ends are kept."""
    text = _CONTROL.sub(" ", _INVISIBLE.sub("", text))
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """A plain text on one line, for labels and names."""
    return " ".join(plain(text).split())
