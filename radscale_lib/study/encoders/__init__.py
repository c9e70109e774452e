"""Kinds of encoders, one module each: an image tower, its further parts, and its weights."""

from typing import TYPE_CHECKING

from radscale_lib.study.encoders.base import EncoderSection
from radscale_lib.study.kinds import kinds, union

ENCODERS = kinds(__name__, EncoderSection, "kind", "radscale.encoders")
"""Every kind of encoder by name, including those of installed packages."""

if TYPE_CHECKING:
    Encoder = EncoderSection
else:
    Encoder = union(ENCODERS, "kind")

__all__ = ["ENCODERS", "Encoder", "EncoderSection"]
