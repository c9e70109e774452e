"""Drawing all figures of a study into files, with what the report says of them."""

from collections.abc import Collection
from pathlib import Path
from typing import TypedDict

from radscale_lib.exports import write_csv
from radscale_lib.files import atomic_write, read_json, write_json
from radscale_lib.report.figures import Tables, figures
from radscale_lib.report.style import COLUMN, save
from radscale_lib.study import Study
from radscale_lib.texts import plain

LIST = "figures.json"


class Listed(TypedDict):
    """What the report says of a figure: file name, section, caption and alternative text."""

    name: str
    section: str
    wide: bool
    caption: str
    alt: str


def draw_figures(
    study: Study, tables: Tables, out: Path, only: Collection[str] | None = None
) -> None:
    """Write `figures/<name>.<format>`, `tables/<name>.csv`, and the list `figures/figures.json`.

    Args:
        study: names arms, tasks and formats.
        tables: the study's tables.
        out: folder that gets `figures/` and `tables/`.
        only: names of the kinds of figures to draw; None draws all.

    Raises:
        ValueError: for a name in `only` that no kind has.
    """
    kinds = figures()
    unknown = sorted(set(only or ()) - set(kinds))
    if unknown:
        raise ValueError(f"no figure {', '.join(unknown)}: use {', '.join(kinds)}")
    listed: list[Listed] = []
    for kind in kinds.values():
        if only is not None and kind.name not in only:
            continue
        for drawing in kind.draw(study, tables):
            name = drawing.name
            save(drawing.figure, out / "figures", name, study.report.formats, study.report.dpi)
            with atomic_write(out / "tables" / f"{name}.csv") as partial:
                write_csv(drawing.table, partial)
            if drawing.in_report:
                caption, alt = plain(drawing.caption), plain(drawing.alt)
                wide = bool(drawing.figure.get_figwidth() > COLUMN)
                listed.append(
                    Listed(name=name, section=kind.section, wide=wide, caption=caption, alt=alt)
                )
    listed.sort(key=lambda one: not one["wide"])
    write_json(out / "figures" / LIST, {"figures": listed})


def listed_figures(folder: Path) -> list[Listed]:
    """What was drawn for the report into a folder `figures/`; nothing where no list is."""
    path = folder / LIST
    if not path.exists():
        return []
    found: list[Listed] = read_json(path)["figures"]
    return found
