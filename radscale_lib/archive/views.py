"""The view of a chest radiograph, from the header fields that may state it."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

View = Literal["PA", "AP", "LL", "RL", "unknown"]

_LATERAL = {"LL", "RL"}
_SIDEWAYS = r"LATERAL[EI]?|LATERAAL|LAT|PROFIL|PERFIL|SEITL|SEITLICH"
_TO_THE_RIGHT = r"R|RT|RIGHT|DERECH[AO]|DIREIT[AO]|DROITE?|DESTR[AO]|RECHTS|RECHTER"
_PATTERNS: tuple[tuple[View, str], ...] = (
    ("PA", r"\b(P ?A|POSTERO ?ANTERI(OR|EUR)(E|EN)?|DORSO ?VENTRAL)\b|后前位|後前位"),
    ("AP", r"\b(A ?P|ANTERO ?POSTERI(OR|EUR)(E|EN)?|VENTRO ?DORSAL)\b|前后位|前後位"),
    (
        "RL",
        rf"\b(RL|RLAT(ERAL)?|({_TO_THE_RIGHT}) ({_SIDEWAYS})|({_SIDEWAYS}) ({_TO_THE_RIGHT}))\b",
    ),
    (
        "LL",
        r"\b(LL|LLAT(ERAL)?|(?<!\bR )(?<!\bRT )(?<!\bRIGHT )(?<!\bRECHTS )"
        rf"({_SIDEWAYS})(?! ({_TO_THE_RIGHT})\b))\b",
    ),
)
_OTHER = re.compile(
    r"\b([LR]L[DO]|[LR][AP]O|OBL|DECUB|LORD|APICAL|TANGENTIAL|SWIMMERS?)\b"
    r"|DECUBIT|OBLI[QCK]|SCHRAG|SCHRAEG|SEITENLAGE|AXIAL|AXIAAL|LORDO|APICOGRAM"
)
"""Decubitus, oblique, lordotic and axial views: the defined terms of View Position among them
(PS3.3 C.8.7.1.1), and words of several languages."""


def view_of(position: str, code_meaning: str, description: str, orientation: Sequence[str]) -> View:
    """The view of an image, from the first of these that states it.

    1. View Position (0018,5101), and the meaning of View Code Sequence (0054,0220);
    2. words of Series Description (0008,103E), if they name one view;
    3. Patient Orientation (0020,0020): rows along the anterior-posterior axis mean a lateral. It
       also decides where the words name both a frontal and a lateral view.

    Whatever the position says, an image is none of the views if any of the texts names a decubitus,
    oblique, lordotic or axial view. A lateral without a side counts as the usual left lateral.

    Args:
        position: View Position, or an empty text.
        code_meaning: Code Meaning of the first View Code, or an empty text.
        description: Series Description, or an empty text; only its words on views are used.
        orientation: the values of Patient Orientation, or nothing.
    """
    texts = [_views_in(text) for text in (position, code_meaning, description)]
    if None in texts:
        return "unknown"
    *stated, described = (views or frozenset() for views in texts)
    for views in stated:
        if len(views) == 1:
            return next(iter(views))
    row_direction = orientation[0][:1].upper() if orientation and orientation[0] else ""
    if row_direction in {"A", "P"}:
        described = (described & _LATERAL) or frozenset({"LL"})
    elif row_direction in {"L", "R"}:
        described -= _LATERAL
    return next(iter(described)) if len(described) == 1 else "unknown"


@lru_cache(2**14)
def _views_in(text: str) -> frozenset[View] | None:
    """The views that a text names; null if it names one that is not supported."""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.sub(r"[\W_]+", " ", text.upper())
    if _OTHER.search(words):
        return None
    return frozenset(view for view, pattern in _PATTERNS if re.search(pattern, words))
