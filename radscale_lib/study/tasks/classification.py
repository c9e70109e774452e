"""Classification: a probe on pooled features."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from radscale_lib.study.tasks.base import TaskSection


class Classification(TaskSection):
    """Multi-label logistic probe on pooled features; AUROC and AUPRC."""

    implementation: ClassVar[str] = "radscale_lib.tasks.classification"
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "labels"
    runs_encoder: ClassVar[bool] = False

    kind: Literal["classification"]
    target: Literal["findings", "tubes"] = Field(description="Label columns to predict.")
    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4),
        min_length=1,
        description="L2 penalties tried; chosen on the validation split.",
    )

    @property
    def names(self) -> str:
        """The key of `labels` with the labels that it scores."""
        return self.target

    def title(self, words: str) -> str:
        """What the task is called in a heading."""
        return f"{words} classification"
