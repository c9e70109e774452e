"""Evaluation: the protocol for every frozen encoder."""

from typing import Annotated, Literal

from pydantic import Field

from radscale_lib.study.base import Distinct, Name, Section
from radscale_lib.study.tasks import Task

KEPT_BYTES = 256 * 2**20
"""Maximum number of feature values per archive that an evaluation keeps in memory; beyond it, each
task runs the encoder on its images."""

FEWEST_RESAMPLES = 20
"""Minimum number of bootstrap draws to estimate how a score varies."""

Level = Annotated[int, Field(ge=1, le=4)]


class Features(Section):
    """Pooled features of a frozen encoder, shared by the classification tasks."""

    pool: Annotated[tuple[Literal["mean", "cls"], ...], Distinct] = Field(
        ("mean", "cls"),
        min_length=1,
        description="Poolings that are concatenated: mean over the grid; the encoder's own global "
        "embedding (class token, or MI2's pooled output).",
    )
    levels: Annotated[tuple[Level, ...], Distinct] = Field(
        (4,), min_length=1, description="Levels that are concatenated, of 1 to 4."
    )
    batch: int = Field(64, ge=1, description="Images per forward pass.")


class Evaluation(Section):
    """The evaluation protocol, the same for every encoder."""

    features: Features = Features()
    resamples: int = Field(
        1000,
        ge=FEWEST_RESAMPLES,
        description="Bootstrap resamples of test patients, drawn jointly for all runs.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of every interval.")
    seed: int = Field(0, ge=0, description="Seed of the resamples and of the decoders.")
    subgroups: Annotated[
        tuple[Literal["view", "scanner", "year", "sex", "age_band"], ...], Distinct
    ] = Field(
        ("view", "scanner", "year"),
        description="Properties of the catalog by which groups of test images are scored; the "
        "last two need institution.demographics.",
    )
    shortcuts: dict[str, str] | None = Field(
        None,
        description="Tubes that give findings away, by finding: images with both, and with the "
        "finding alone, are scored separately. Null: pneumothorax by chest tube, if "
        "labels have these names.",
    )
    floors: bool = Field(
        True,
        description="Also evaluate, for each encoder of an arm, its own architecture with random "
        "weights, and principal components of the pixels on its grids.",
    )
    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks by name.")

    @property
    def reads_grid(self) -> bool:
        """Whether a head reads the means over a grid, which are then kept for every encoder."""
        heads = (task.head(part) for task in self.tasks.values() for part in task.parts)
        return any(head is not None and head.reads_grid for head in heads)
