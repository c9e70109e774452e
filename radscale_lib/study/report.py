"""Figures and the report."""

from typing import Annotated, Literal

from pydantic import Field

from radscale_lib.study.base import Section

COLOUR = r"^#[0-9a-fA-F]{6}$"
Colour = Annotated[str, Field(pattern=COLOUR)]


class Report(Section):
    """The style of figures and of the report."""

    title: str = Field("Data scaling of chest X-ray encoders", description="Title of the report.")
    formats: tuple[Literal["pdf", "svg", "png"], ...] = Field(
        ("pdf", "svg", "png"), description="Files written for each figure."
    )
    colours: dict[str, Colour] = Field({}, description="Colour of an arm, by name, as '#rrggbb'.")
    dpi: int = Field(150, ge=50, le=600, description="Resolution of PNG figures.")
    similarity: bool = Field(
        True, description="Draw patch-similarity maps of one tube tip (needs tube polylines)."
    )
    examples: bool = Field(
        True,
        description="Show test images by rule (best, median, worst): films with masks, and "
        "generated reports beside their references.",
    )
