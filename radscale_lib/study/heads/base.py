"""The interface of head kinds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Discriminator, Field, Tag

from radscale_lib.study.base import Distinct, Section


class Encoding(NamedTuple):
    """The use of an encoder, in numbers of images.

    Attributes:
        encoded: images on which it runs.
        kept: images whose feature maps are in a temporary file, at most at any time.
        read: images whose feature maps are read from it, over all steps; a part of the maps counts
            as a share.
        learnt: images from which heads learn, over all steps.
    """

    encoded: float = 0.0
    kept: float = 0.0
    read: float = 0.0
    learnt: float = 0.0

    @classmethod
    def in_turn(cls, parts: Iterable["Encoding"]) -> "Encoding":
        """The total of parts run one after another, each of which releases its files."""
        encoded, kept, read, learnt = zip(cls(), *parts, strict=True)
        return cls(sum(encoded), max(kept), sum(read), sum(learnt))


Rate = Annotated[float, Field(gt=0)]
Rates = Annotated[
    Annotated[Rate, Tag("one")]
    | Annotated[tuple[Rate, ...], Field(min_length=1), Distinct, Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
]
"""A learning rate, or several to try."""


def rates_of(value: Rates) -> tuple[float, ...]:
    """The learning rates to try."""
    return value if isinstance(value, tuple) else (value,)


class HeadSection(Section):
    """A kind of head: its settings and facts."""

    implementation: ClassVar[str]
    """Module with `predict(section, cases)`, an `Answer` (`radscale_lib.tasks.heads.cases`)."""
    runs_encoder: ClassVar[bool] = False
    """Whether it runs the encoder on images; otherwise it only reads pooled features."""

    held: ClassVar[float] = 4.0
    """Maximum number of values that a training step holds at once per value in its batch's feature
    maps, for published encoders at the default width."""

    task_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of the task that it reads, besides `target`."""

    kind: str

    @property
    def reads_grid(self) -> bool:
        """Whether it reads the means over a grid, which are kept only if some head does."""
        return False

    def shares(self) -> tuple[float, ...]:
        """Shares of the labelled training patients that it is trained on besides all of them."""
        return ()

    def names(self, name: str) -> tuple[str, ...]:
        """Names of its rows in the scores; `name` is its name in the study."""
        return (name, *(share_name(name, share) for share in self.shares()))

    def encoding(self, trained: float, validated: float, tested: float) -> Encoding:
        """Its use of the encoder, with this many images in each split."""
        return Encoding()

    def problems(self, labels: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Settings that contradict the task's labels: key below the section, and message."""
        yield from ()


GRID_SIDE = 4
"""Maximum number of cells per side in the set `grid`."""
FeatureSet = Literal["study", "global", "last", "levels", "all", "grid"]
"""Pooled features: those of `evaluation.features`; the global embedding; means over the deepest
level; over all four levels; over these with the global embedding; and means over each cell of a
4 x 4 grid on the deepest level, with the global embedding."""
FEATURES = (
    "Pooled features tried{also}, chosen on the validation split: 'study' (those of "
    "evaluation.features), 'global' (the global embedding), 'last' (mean over the deepest level), "
    "'levels' (means over all four), 'all' (these and the global embedding), 'grid' (means over "
    "each cell of a 4 x 4 grid on the deepest level, and the global embedding)."
)


class FeatureHead(HeadSection):
    """A head on pooled features, cheap enough to be trained on several shares of the labels."""

    features: Annotated[tuple[FeatureSet, ...], Distinct] = Field(
        ("study",),
        min_length=1,
        description=FEATURES.format(also=""),
    )

    label_shares: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Distinct] = Field(
        (),
        description="Shares of the labelled training patients (first by keyed hash, the same for "
        "all encoders) on which the head is trained as well as on all of them, as "
        "0.01; their rows are called <head>@1%.",
    )

    @property
    def reads_grid(self) -> bool:
        """Whether `grid` is among the features to try."""
        return "grid" in self.features

    def shares(self) -> tuple[float, ...]:
        """Shares of the labelled training patients that it is trained on besides all of them."""
        return self.label_shares


def share_name(name: str, share: float) -> str:
    """Name of a head's rows when it is trained on a share of the labels."""
    return f"{name}@{100 * share:g}%"
