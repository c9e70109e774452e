"""k-NN head: the labels of the nearest training images."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Distinct
from radscale_lib.study.heads.base import FeatureHead


class Knn(FeatureHead):
    """Votes of the k nearest training images, by cosine of standardised pooled features."""

    implementation: ClassVar[str] = "radscale_lib.tasks.heads.knn"

    kind: Literal["knn"]
    neighbours: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Distinct] = Field(
        (5, 10, 20, 50, 100, 200),
        min_length=1,
        description="Numbers of neighbours tried; chosen on the validation split.",
    )
    temperatures: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Distinct] = Field(
        (0.03, 0.07, 0.2, 0.5),
        min_length=1,
        description="Temperatures of the votes' weights exp(cosine / temperature) tried; chosen "
        "on the validation split.",
    )
