"""Tells lines that a width has wrapped from those that were ended on purpose."""

from itertools import pairwise

_NARROWEST = 40
"""Characters of the longest line of a text that was wrapped, at least."""
_LOST = 8
"""Characters that a line may have lost since it was wrapped: double blanks, markup."""
_HEADING = 30
"""Characters of a heading that stood before a text's first line."""
_WIDE = 60
"""Characters of the longest line from which on its first may have lost a heading."""


def wrapped(text: str) -> frozenset[int]:
    """Places of the line ends behind which the next word would not have fitted.

    Args:
        text: lines without blank ones among them, parted by line feeds.
    """
    lines = text.split("\n")
    width = max(map(len, lines))
    if width < _NARROWEST:
        return frozenset()
    found, place = [], 0
    for number, (line, following) in enumerate(pairwise(lines)):
        place += len(line) + (number > 0)
        word = following.split(maxsplit=1)[0] if following.strip() else ""
        lost = _HEADING if number == 0 and width >= _WIDE else _LOST
        if len(line) + 1 + len(word) + lost > width:
            found.append(place)
    return frozenset(found)
