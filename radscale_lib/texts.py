"""Texts that others supply, made safe to show: names in headers, titles, labels, logs."""

import re

_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters of no width: they turn the direction of what follows, or hide."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters but tab and line feed: terminals act on them, and XML admits none."""
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Bytes of file names that are not UTF-8: they cannot be printed."""


def plain(text: str) -> str:
    """A text without characters that a terminal or a browser would act on; its lines stay."""
    text = _CONTROL.sub(" ", _INVISIBLE.sub("", text))
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """A plain text on one line, for labels and names."""
    return " ".join(plain(text).split())
