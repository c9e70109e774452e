"""Paradigms of pretraining, one module each: a recipe's settings and their meaning."""

from typing import TYPE_CHECKING

from radscale_lib.study.kinds import kinds, union
from radscale_lib.study.paradigms.base import OptimiserConfig, RecipeSection, Supervision

PARADIGMS = kinds(__name__, RecipeSection, "paradigm", "radscale.paradigms")
"""Every paradigm by name, including those of installed packages."""

if TYPE_CHECKING:
    Recipe = RecipeSection
else:
    Recipe = union(PARADIGMS, "paradigm")

__all__ = ["PARADIGMS", "OptimiserConfig", "Recipe", "RecipeSection", "Supervision"]
