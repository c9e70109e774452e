"""Distinguish lines wrapped at a fixed width from lines ended on purpose."""

from itertools import pairwise

_NARROWEST = 40
"""Minimum length of the longest line of a wrapped text, characters."""
_LOST = 8
"""Characters that a line may have lost since it was wrapped (double blanks, markup)."""
_HEADING = 30
"""Maximum length of a heading that was removed before a text's first line."""
_WIDE = 60
"""Length of the longest line from which the first line may have lost a heading."""


def wrapped(text: str) -> frozenset[int]:
    """Positions of the line ends after which the next word would not have fitted.

    Args:
        text: lines separated by line feeds, none of them blank.
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
