"""Linear head: a logistic probe on pooled features."""

from typing import ClassVar, Literal

from radscale_lib.study.heads.base import FeatureHead


class Linear(FeatureHead):
    """Logistic probe on pooled features; its penalty is one of the task's `penalties`."""

    implementation: ClassVar[str] = "radscale_lib.tasks.heads.linear"
    task_keys: ClassVar[tuple[str, ...]] = ("penalties",)

    kind: Literal["linear"]
