"""Subsets of the pool: sizes and order."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from radscale_lib.study.base import Distinct, Fraction, Section


def _ascending(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"{list(sizes)} must ascend without repeats: write {sorted(set(sizes))}")
    return sizes


Sizes = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), AfterValidator(_ascending)
]


class Uniform(Section):
    """Every unit is equally likely at every position."""

    kind: Literal["uniform"] = "uniform"


class Stratified(Section):
    """Every subset contains each stratum in the pool's proportion."""

    kind: Literal["stratified"]
    by: Annotated[tuple[str, ...], Distinct] = Field(
        min_length=1,
        description="Columns of the catalog whose combined values make a stratum, such as view or "
        "finding:effusion. A patient's or study's stratum is that of most of its "
        "images.",
    )


class Curated(Section):
    """More important images tend to come first, and near-duplicates come last."""

    kind: Literal["curated"]
    table: Path = Field(description="Parquet table: image_id and the columns named below.")
    importance: str | None = Field(
        None,
        description="Column of numbers from 0: a unit with twice the mean importance is twice as "
        "likely to come next; units of importance 0 come last.",
    )
    embedding: str | None = Field(
        None, description="Column of vectors; images whose vectors are near-equal are duplicates."
    )
    similarity: Fraction = Field(
        0.97, description="Cosine similarity from which an image is a duplicate of an earlier one."
    )

    @model_validator(mode="after")
    def _does_something(self) -> "Curated":
        if self.importance is None and self.embedding is None:
            raise ValueError(
                "neither importance nor embedding is given: name a column, or use kind: uniform"
            )
        return self


Order = Annotated[Uniform | Stratified | Curated, Field(discriminator="kind")]


class Subsets(Section):
    """Nested subsets of the pretraining pool: prefixes of one stable order per seed."""

    sizes: Sizes = Field(
        (1000,),
        description="Numbers of images, ascending; required where there are arms.",
    )
    unit: Literal["patient", "study", "image"] = Field(
        "patient", description="What the order keeps together: whole patients, studies, or nothing."
    )
    last_unit: Literal["cut", "whole"] = Field(
        "cut",
        description="'cut' ends a subset at exactly its size, within a unit if necessary; 'whole' "
        "takes all of the last unit, and so a few more images.",
    )
    order: Order = Field(Uniform(), description="What decides which units come first.")
