"""Scaling-law fits."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from radscale_lib.study.base import Distinct, Name, Section


class StatedClaim(Section):
    """A claim to be judged besides those of the paper's abstract."""

    better: Name = Field(description="The arm that is claimed to be better.")
    than: Name = Field(description="The arm or baseline with which it is compared.")
    on: Annotated[tuple[Name, ...], Distinct] = Field(
        (), description="Tasks over which the mean is judged; all if empty."
    )
    at: Annotated[int, Field(gt=0)] | Literal["smallest", "largest"] = Field(
        "largest", description="Size at which the values are compared."
    )
    what: Literal["value", "slope"] = Field(
        "value",
        description="Compare the metric at that size, or how fast the error falls (elasticity at "
        "the largest size).",
    )

    @model_validator(mode="after")
    def _two_sides(self) -> "StatedClaim":
        if self.better == self.than:
            raise ValueError(f"better and than are both {self.better!r}: compare two")
        return self


class Scaling(Section):
    """Which curves are fitted, and how."""

    metrics: dict[str, str] = Field(
        description="The metric of each task that is fitted and drawn, by task name."
    )
    heads: dict[str, str] = Field(
        {},
        description="The head of a task that is fitted and drawn, by task name, as the scores "
        "name it; needed for a task with several heads.",
    )
    checkpoint_by: Name | None = Field(
        None,
        description="A classification task: of the encoders that a run keeps on the way "
        "(`arms.<name>.keep`), the one with the best mean of this task's metric over "
        "the labels on the validation images is chosen, and its test scores make a "
        "further curve. Curves and fits still use whole budgets.",
    )
    forms: tuple[Literal["power", "power_floor", "double_saturating"], ...] = Field(
        ("power", "power_floor"),
        description="Forms fitted: power law; with floor; with floor and start.",
    )
    confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="Level of the intervals; claims are decided at an error rate of 1 minus this.",
    )
    horizon: float = Field(
        2.0, gt=1, description="Predictions reach this multiple of the largest size."
    )
    claims: dict[Name, StatedClaim] = Field(
        {}, description="Claims to be judged beside those of the paper's abstract, by name."
    )
