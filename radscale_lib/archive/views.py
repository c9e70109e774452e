"""View of a chest radiograph, from the header fields that may state it."""

import re
from collections.abc import Sequence
from typing import Literal

View = Literal["PA", "AP", "LL", "RL", "unknown"]

_LATERAL = {"LL", "RL"}
_PATTERNS: tuple[tuple[View, str], ...] = (
    ("PA", r"\b(PA|POSTERO ?ANTERIOR)\b"),
    ("AP", r"\b(AP|ANTERO ?POSTERIOR)\b"),
    ("RL", r"\b(RL|RLAT|R LAT|RT LAT|RIGHT LAT)(ERAL)?\b"),
    ("LL", r"\b(LL|LLAT|(?<!R )(?<!RT )(?<!RIGHT )LAT)(ERAL)?\b"),
)
_OTHER_POSITIONS = {"LLD", "RLD", "LLO", "RLO"}
"""Defined terms of View Position for decubitus and oblique views (PS3.3 C.8.7.1.1)."""


def view_of(position: str, code_meaning: str, description: str, orientation: Sequence[str]) -> View:
    """View of an image, from the first of these that tells it.

    1. View Position (0018,5101), and the meaning of View Code Sequence (0054,0220);
    2. words of Series Description (0008,103E), if they name one view;
    3. Patient Orientation (0020,0020): rows that run along the anterior-posterior axis are a
       lateral. It also decides where the words name a frontal and a lateral view.

    A lateral whose side is not stated counts as the usual left lateral.

    Args:
        position: View Position, or an empty text.
        code_meaning: Code Meaning of the first View Code, or an empty text.
        description: Series Description, or an empty text; only its words on views are used.
        orientation: the values of Patient Orientation, or nothing.
    """
    if position.strip().upper() in _OTHER_POSITIONS:
        return "unknown"
    for text in (position, code_meaning):
        stated = _views_in(text)
        if len(stated) == 1:
            return stated.pop()
    described = _views_in(description)
    row_direction = orientation[0][:1].upper() if orientation and orientation[0] else ""
    if row_direction in {"A", "P"}:
        described = (described & _LATERAL) or {"LL"}
    elif row_direction in {"L", "R"}:
        described -= _LATERAL
    return described.pop() if len(described) == 1 else "unknown"


def _views_in(text: str) -> set[View]:
    """The views that a text names; a decubitus or oblique view is none of them."""
    words = " ".join(re.findall(r"[A-Z0-9]+", text.upper()))
    if re.search(r"DECUB|OBLIQUE", words):
        return set()
    return {view for view, pattern in _PATTERNS if re.search(pattern, words)}
