"""Draw all figures of a study into files, with their captions for the report."""

from collections.abc import Collection
from pathlib import Path

from radscale_lib.exports import write_csv, write_latex, write_markdown
from radscale_lib.files import atomic_write, write_json
from radscale_lib.report.figures import Drawing, FigureKind, Tables, figures
from radscale_lib.report.listing import LIST, Listed
from radscale_lib.report.publish import published
from radscale_lib.report.style import COLUMN, save, styled, wide
from radscale_lib.study import Study
from radscale_lib.texts import plain

PATIENTS = "patients"
"""Folder below `figures/` for those that show images of patients; it is never released."""
MM_PER_INCH = 25.4


def draw_figures(
    study: Study,
    tables: Tables,
    out: Path,
    only: Collection[str] | None = None,
    width: float | None = None,
    style: Path | None = None,
) -> None:
    """Write `figures/<name>.<format>`, `tables/<name>.csv`, and the list `figures/figures.json`.

    Figures that show images of patients, and their tables, go to folders `patients/`, except a
    phantom's, which show nobody.

    With all figures, the tables for a paper are written too:
    `tables/{scores,verdicts}.{csv,md,tex}`.

    Args:
        study: names arms, tasks and formats.
        tables: the study's tables.
        out: folder that gets `figures/` and `tables/`.
        only: names of the kinds of figures to draw; None draws all.
        width: width of every figure, mm; None draws each as wide as in the report.
        style: matplotlib style file, over the house style.

    Raises:
        ValueError: for a name in `only` that is not a kind, or an impossible width.
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
