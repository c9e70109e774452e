"""Scaling-law fits."""

from typing import Literal

from pydantic import Field

from radscale_lib.study.base import Section


class Scaling(Section):
    """Which curves are fitted, and how."""

    metrics: dict[str, str] = Field(
        description="The metric of each task that is fitted and drawn, by task name."
    )
    forms: tuple[Literal["power", "power_floor", "double_saturating"], ...] = Field(
        ("power", "power_floor"),
        description="Forms fitted: power law, with floor, and with floor and start.",
    )
    confidence: float = Field(0.9, gt=0.5, lt=1, description="Level of the fits' intervals.")
    horizon: float = Field(
        2.0, gt=1, description="Predictions reach to this multiple of the largest size."
    )
