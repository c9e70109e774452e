"""Disclosure control: what may be shown about few patients."""

from pydantic import Field

from radscale_lib.study.base import Section


class Disclosure(Section):
    """How few patients may be behind what leaves the institution."""

    smallest_cell: int = Field(
        10,
        ge=1,
        description="The smallest number of patients in a cell of a published table or figure, "
        "and of patients who share a device model or a word of an encoder's "
        "vocabulary: what fewer share is merged, coded or left out. 1 shows "
        "everything; a phantom's cells are always shown.",
    )
