"""Kinds of decoders, one module each: what makes masks of a frozen encoder's four levels."""

from typing import TYPE_CHECKING

from radscale_lib.study.decoders.base import DecoderSection
from radscale_lib.study.kinds import kinds, union

DECODERS = kinds(__name__, DecoderSection, "kind", "radscale.decoders")
"""Every kind of decoder by name, those of installed packages too."""

if TYPE_CHECKING:
    MaskDecoder = DecoderSection
else:
    MaskDecoder = union(DECODERS, "kind")

__all__ = ["DECODERS", "DecoderSection", "MaskDecoder"]
