"""The list of drawn figures, by which the report finds them."""

from pathlib import Path
from typing import TypedDict

from radscale_lib.files import read_json

LIST = "figures.json"


class Listed(TypedDict):
    """A figure's entry in the report.

    Its file below `figures/`, section, caption, alternative text, and patterns of the files it
    shows.
    """

    name: str
    section: str
    shows_patients: bool
    wide: bool
    caption: str
    alt: str
    reads: list[str]


def listed_figures(folder: Path) -> list[Listed]:
    """The figures drawn for the report into a folder `figures/`; empty if it has no list."""
    path = folder / LIST
    if not path.exists():
        return []
    found: list[Listed] = read_json(path)["figures"]
    return found
