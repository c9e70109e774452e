"""Subsets: the sizes of the study."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from radscale_lib.study.base import Section


class Subsets(Section):
    """Nested subsets of the pretraining pool: prefixes of one stable order per seed."""

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="Numbers of images, ascending."
    )
    unit: Literal["patient", "image"] = Field(
        "patient",
        description="'patient' orders whole patients and cuts the last one to reach the size "
        "exactly; 'image' orders images.",
    )

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes:
            raise ValueError("give at least one size")
        if list(sizes) != sorted(set(sizes)):
            raise ValueError(f"sizes must ascend without repeats: {sorted(set(sizes))}")
        return sizes
