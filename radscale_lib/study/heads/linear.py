"""Linear head: a logistic probe on pooled features."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Distinct
from radscale_lib.study.heads.base import FEATURES, FeatureHead, FeatureSet


class Linear(FeatureHead):
    """Logistic probe on pooled features; its penalty is one of the task's `penalties`."""

    implementation: ClassVar[str] = "radscale_lib.tasks.heads.linear"
    task_keys: ClassVar[tuple[str, ...]] = ("penalties",)

    kind: Literal["linear"]
    features: Annotated[tuple[FeatureSet, ...], Distinct] = Field(
        ("study", "global", "levels"),
        min_length=1,
        description=FEATURES.format(also=" with each penalty"),
    )
