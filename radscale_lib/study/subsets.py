"""Subsets: the sizes of the study."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from radscale_lib.study.base import Section


def _ascending(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"{list(sizes)} must ascend without repeats: write {sorted(set(sizes))}")
    return sizes


Sizes = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), AfterValidator(_ascending)
]


class Subsets(Section):
    """Nested subsets of the pretraining pool: prefixes of one stable order per seed."""

    sizes: Sizes = Field(description="Numbers of images, ascending.")
    unit: Literal["patient", "image"] = Field(
        "patient",
        description="'patient' orders whole patients and cuts the last one to reach the size "
        "exactly; 'image' orders images.",
    )
