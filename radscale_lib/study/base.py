"""Common parts of all sections of the study file."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section of the study file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    more_facts: ClassVar[tuple[str, ...]] = ()
    """For a kind: other modules whose facts count as its own."""


def whole_heads(width: int, heads: int) -> None:
    """Check that attention heads divide a width evenly.

    Raises:
        ValueError: if they do not; suggests a width.
    """
    if width % heads:
        raise ValueError(
            f"width {width} does not divide over {heads} heads: use {-(-width // heads) * heads}"
        )


def _ascending(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if low > high:
        raise ValueError(f"[{low:g}, {high:g}] is not an interval: write it as [{high:g}, {low:g}]")
    return interval


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} appears twice: name each once")
    return values


Fraction = Annotated[float, Field(ge=0, le=1)]
Interval = Annotated[tuple[Fraction, Fraction], AfterValidator(_ascending)]
"""Lower and upper bound of a share."""
Distinct = AfterValidator(_distinct)
"""Refuses a sequence with repeats."""
NAME = r"^[a-z0-9][a-z0-9-]*$"
Name = Annotated[str, Field(pattern=NAME)]
"""Names become folders and wildcards: lower-case letters, digits and hyphens."""
