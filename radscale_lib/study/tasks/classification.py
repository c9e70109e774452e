"""Classification: heads on frozen features."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from radscale_lib.study.archive import Labels
from radscale_lib.study.base import Name
from radscale_lib.study.heads import Head, HeadSection
from radscale_lib.study.heads.linear import Linear
from radscale_lib.study.tasks.base import TaskSection


class Classification(TaskSection):
    """Multi-label classification by one or more heads on frozen features; AUROC and AUPRC."""

    implementation: ClassVar[str] = "radscale_lib.tasks.classification"
    scoring: ClassVar[str] = "radscale_lib.tasks.label_scoring"
    tables: ClassVar[tuple[str, ...]] = ("reliability",)
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "labels"

    kind: Literal["classification"]
    target: Literal["findings", "tubes", "positions"] = Field(
        description="Label columns to predict: those of labels.findings, labels.tubes or "
        "labels.positions."
    )
    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4),
        min_length=1,
        description="L2 penalties that linear heads try; chosen on the validation split.",
    )
    heads: dict[Name, Head] = Field(
        {"linear": Linear(kind="linear")},
        min_length=1,
        description="Heads by name, each with rows of its own in the scores; if there are "
        "several, scaling.heads names the one that is fitted and drawn.",
    )

    @property
    def runs_encoder(self) -> bool:
        """Whether a head runs the encoder."""
        return any(head.runs_encoder for head in self.heads.values())

    @property
    def reads_features(self) -> bool:
        """Always true: their index names the images."""
        return True

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its heads, each followed by its shares of the labels."""
        return tuple(row for name, head in self.heads.items() for row in head.names(name))

    @property
    def parts(self) -> tuple[str, ...]:
        """Its heads, each with its shares of the labels."""
        return tuple(self.heads)

    def head(self, part: str) -> HeadSection:
        """The section of a head."""
        return self.heads[part]

    def unread_by(self, part: str) -> set[str]:
        """The other heads, and keys of the task that this head does not read."""
        return {"heads", *({"penalties"} - set(self.heads[part].task_keys))}

    def head_kinds(self) -> Iterator[type[HeadSection]]:
        """The kinds of its heads."""
        yield from map(type, self.heads.values())

    def problems(self, labels: Labels) -> Iterator[tuple[str, str]]:
        """Settings of heads that contradict the labels."""
        for name, head in self.heads.items():
            for key, problem in head.problems(self.targets(labels)):
                yield f"heads.{name}.{key}", problem

    @property
    def names(self) -> str:
        """The key of `labels` with the labels that it scores."""
        return self.target

    def title(self, words: str) -> str:
        """The task's name in a heading."""
        return f"{words} classification"
