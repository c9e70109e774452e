"""Drawing all figures of a study into files, with what the report says of them."""

from collections.abc import Collection
from pathlib import Path
from typing import TypedDict

from radscale_lib.exports import write_csv, write_latex, write_markdown
from radscale_lib.files import atomic_write, read_json, write_json
from radscale_lib.report.figures import Drawing, FigureKind, Tables, figures
from radscale_lib.report.publish import published
from radscale_lib.report.style import COLUMN, save, styled, wide
from radscale_lib.study import Study
from radscale_lib.texts import plain

LIST = "figures.json"
PATIENTS = "patients"
"""Folder below `figures/` of those that show images of patients; it stays inside."""
MM_PER_INCH = 25.4


class Listed(TypedDict):
    """What the report says of a figure.

    Its file below `figures/`, section, caption, words, and patterns of the files that it shows.
    """

    name: str
    section: str
    shows_patients: bool
    wide: bool
    caption: str
    alt: str
    reads: list[str]


def draw_figures(
    study: Study,
    tables: Tables,
    out: Path,
    only: Collection[str] | None = None,
    width: float | None = None,
    style: Path | None = None,
) -> None:
    """Write `figures/<name>.<format>`, `tables/<name>.csv`, and the list `figures/figures.json`.

    Figures that show images of patients, and their tables, go to folders `patients/`; a phantom's
    are nobody's.

    With all figures, the tables of a paper too: `tables/{scores,verdicts}.{csv,md,tex}`.

    Args:
        study: names arms, tasks and formats.
        tables: the study's tables.
        out: folder that gets `figures/` and `tables/`.
        only: names of the kinds of figures to draw; None draws all.
        width: of every figure, mm; None draws each as wide as the report shows it.
        style: matplotlib style file, over the house style.

    Raises:
        ValueError: for a name in `only` that no kind has, or a width of none.
        OSError: if the style cannot be read.
    """
    kinds = figures()
    unknown = sorted(set(only or ()) - set(kinds))
    if unknown:
        raise ValueError(f"no figure {', '.join(unknown)}: use {', '.join(kinds)}")
    if width is not None and not 20 <= width <= 1000:
        raise ValueError(f"width {width:g} mm: use 20 to 1000 mm")
    listed: list[Listed] = []
    with styled(style), wide(width and width / MM_PER_INCH):
        for kind in kinds.values():
            drawings = kind.draw(study, tables) if only is None or kind.name in only else ()
            for drawing in drawings:
                private = kind.shows_patients and study.institution.phantom is None
                _write(study, drawing, out, PATIENTS if private else "")
                if drawing.in_report:
                    listed.append(_listed(kind, drawing, private))
    for name, table in published(study, tables) if only is None else ():
        for suffix, write in (("csv", write_csv), ("md", write_markdown), ("tex", write_latex)):
            with atomic_write(out / "tables" / f"{name}.{suffix}") as partial:
                write(table, partial)
    listed.sort(key=lambda one: not one["wide"])
    write_json(out / "figures" / LIST, {"figures": listed})


def _write(study: Study, drawing: Drawing, out: Path, below: str) -> None:
    name = drawing.name
    save(drawing.figure, out / "figures" / below, name, study.report.formats, study.report.dpi)
    with atomic_write(out / "tables" / below / f"{name}.csv") as partial:
        write_csv(drawing.table, partial)


def _listed(kind: FigureKind, drawing: Drawing, private: bool) -> Listed:
    return Listed(
        name=f"{PATIENTS}/{drawing.name}" if private else drawing.name,
        section=kind.section,
        shows_patients=private,
        wide=bool(drawing.figure.get_figwidth() > COLUMN),
        caption=plain(drawing.caption),
        alt=plain(drawing.alt),
        reads=list(kind.reads),
    )


def listed_figures(folder: Path) -> list[Listed]:
    """What was drawn for the report into a folder `figures/`; nothing where no list is."""
    path = folder / LIST
    if not path.exists():
        return []
    found: list[Listed] = read_json(path)["figures"]
    return found
