"""What every kind of head states about itself."""

from typing import Annotated, ClassVar

from pydantic import Field

from radscale_lib.study.base import Distinct, Section


class HeadSection(Section):
    """A kind of head: its settings, and the facts that others ask for."""

    implementation: ClassVar[str]
    """Module with `predict(section, cases)`, an `Answer` (`radscale_lib.tasks.heads.cases`)."""
    runs_encoder: ClassVar[bool] = False
    """Whether it runs the encoder on images; else it reads the pooled features alone."""

    task_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of the task that it reads, besides `target`."""

    kind: str

    def shares(self) -> tuple[float, ...]:
        """Shares of the labelled training patients that it is trained on besides all of them."""
        return ()

    def names(self, name: str) -> tuple[str, ...]:
        """What its rows of the scores are called, `name` being its name in the study."""
        return (name, *(share_name(name, share) for share in self.shares()))

    def images_encoded(self, tested: float) -> float:
        """Images that it runs the encoder on, with `tested` test images."""
        return 0.0


class FeatureHead(HeadSection):
    """A head on pooled features, cheap enough to be trained on several shares of the labels."""

    label_shares: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Distinct] = Field(
        (),
        description="Shares of the labelled training patients (first by keyed hash, equal for all "
        "encoders) that the head is trained on besides all of them, as 0.01; their rows are "
        "called <head>@1%.",
    )

    def shares(self) -> tuple[float, ...]:
        """Shares of the labelled training patients that it is trained on besides all of them."""
        return self.label_shares


def share_name(name: str, share: float) -> str:
    """What a head's rows are called when it is trained on a share of the labels."""
    return f"{name}@{100 * share:g}%"
