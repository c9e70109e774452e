"""The interface of figures."""

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
"""Sections of the report with figures."""


@dataclass(frozen=True)
class Tables:
    """The tables of a finished study from which figures are drawn.

    Attributes:
        scores: `scores.parquet`.
        fits: `fits.parquet`.
        crossovers: `crossovers.parquet`.
        comparisons: `comparisons.parquet`.
        verdicts: `verdicts.parquet`.
        subsets: `subsets/card.parquet`; None if it was not made.
        similarity: `similarity/<arm>.parquet`.
        checkpoints: `checkpoints.parquet`; None if not available.
        training: the logs of all runs (`figures.training.training_table`); None likewise.
        elsewhere: the tables of each test archive, by name: scores, fits, crossovers, comparisons
            and verdicts.
        reliability: `reliability.parquet`; None if not available.
        label_fits: `label_fits.parquet`; None likewise.
        films: `examples/<task>.parquet` of segmentation tasks.
        tips: rows of all `tips/<arm>.parquet`; None if not available.
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
        figure: made inside `house_style()`, not yet saved.
        table: the data it shows; nothing else is drawn.
        caption: below it in the report.
        alt: the figure in words, for readers who cannot see it.
        in_report: whether the report includes it.
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
        name: the name for `--only`.
        section: of the report, one of `SECTIONS`.
        draw: yields drawings from a study and its tables; none if the tables have no data for it.
        shows_patients: whether it shows images of patients. Such figures of a real archive are in a
            separate folder, which stays inside the institution.
        reads: patterns of the files in the study's folder from which it is drawn, such as `tips/*`,
            so that the report can state a figure's data. By default, all files that the figures'
            job reads.
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
