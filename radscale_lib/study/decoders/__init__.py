"""Kinds of decoders, one module each, which predict masks from a frozen encoder's levels."""

from typing import TYPE_CHECKING

from radscale_lib.study.decoders.base import DecoderSection
from radscale_lib.study.kinds import kinds, union

DECODERS = kinds(__name__, DecoderSection, "kind", "radscale.decoders")
"""Every kind of decoder by name, including those of installed packages."""

if TYPE_CHECKING:
    MaskDecoder = DecoderSection
else:
    MaskDecoder = union(DECODERS, "kind")

__all__ = ["DECODERS", "DecoderSection", "MaskDecoder"]
