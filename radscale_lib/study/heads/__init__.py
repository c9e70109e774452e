"""Kinds of classification heads on frozen features, one module each."""

from typing import TYPE_CHECKING

from radscale_lib.study.heads.base import FeatureHead, HeadSection
from radscale_lib.study.kinds import kinds, union

HEADS = kinds(__name__, HeadSection, "kind", "radscale.heads")
"""Every kind of head by name, including those of installed packages."""

if TYPE_CHECKING:
    Head = HeadSection
else:
    Head = union(HEADS, "kind")

__all__ = ["HEADS", "FeatureHead", "Head", "HeadSection"]
