"""What a figure states about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from radscale_lib.study import Study

SECTIONS = (
    "answers", "results", "classes", "calibration", "archives", "similarity", "examples",
    "subsets", "runs",
)  # fmt: skip
"""Sections of the report that hold figures."""


@dataclass(frozen=True)
class Tables:
    """The tables of a finished study that figures are drawn from.

    Attributes:
        scores: `scores.parquet`.
        fits: `fits.parquet`.
        crossovers: `crossovers.parquet`.
        comparisons: `comparisons.parquet`.
        verdicts: `verdicts.parquet`.
        subsets: `subsets/card.parquet`; None where it was not made.
        similarity: `similarity/<arm>.parquet`.
        checkpoints: `checkpoints.parquet`; None where it is not at hand.
        training: the logs of all runs (`figures.training.training_table`); None likewise.
        elsewhere: the tables of each test archive, by name: scores, fits, crossovers, comparisons
            and verdicts.
        reliability: `reliability.parquet`; None where it is not at hand.
        label_fits: `label_fits.parquet`; None likewise.
        films: `examples/<task>.parquet` of segmentation tasks.
        tips: rows of all `tips/<arm>.parquet`; None where they are not at hand.
    """

    scores: pl.DataFrame
    fits: pl.DataFrame
    crossovers: pl.DataFrame
    comparisons: pl.DataFrame
    verdicts: pl.DataFrame
    subsets: pl.DataFrame | None = None
    similarity: list[pl.DataFrame] = field(default_factory=list)
    checkpoints: pl.DataFrame | None = None
    training: pl.DataFrame | None = None
    elsewhere: Mapping[str, Tables] = field(default_factory=dict)
    reliability: pl.DataFrame | None = None
    label_fits: pl.DataFrame | None = None
    films: list[pl.DataFrame] = field(default_factory=list)
    tips: pl.DataFrame | None = None


@dataclass(frozen=True)
class Drawing:
    """A figure that was drawn.

    Attributes:
        name: of its files.
        figure: inside `house_style()` when it was made, not yet saved.
        table: what it shows; nothing is drawn that is not in it.
        caption: below it in the report.
        alt: the figure in words, for those who do not see it.
        in_report: whether the report holds it.
    """

    name: str
    figure: Figure
    table: pl.DataFrame
    caption: str
    alt: str
    in_report: bool = True


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        name: as `--only` takes it.
        section: of the report, one of `SECTIONS`.
        draw: yields drawings from a study and its tables; none if the tables hold nothing for it.
        shows_patients: whether images of patients are in it. Such figures of a real archive lie in
            a folder of their own, which stays inside the institution.
        reads: patterns of the files that it is drawn from, in the study's folder, as `tips/*`: the
            report says which data a figure shows. By default all that the figures' job reads.
    """

    name: str
    section: str
    draw: Callable[[Study, Tables], Iterator[Drawing]]
    shows_patients: bool = False
    reads: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        """Check the section.

        Raises:
            ValueError: for an unknown one.
        """
        if self.section not in SECTIONS:
            raise ValueError(
                f"figure {self.name!r}: section {self.section!r} is none of {', '.join(SECTIONS)}"
            )
