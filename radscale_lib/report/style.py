"""The style of all figures, and saving them reproducibly."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from radscale_lib.files import atomic_write
from radscale_lib.study import Study
from radscale_lib.texts import one_line

COLUMN = 3.5
"""Width of a column of a journal page, inches."""
PAGE = 7.2
"""Width of a page, inches."""

INK = "#222222"
MUTED = "#666666"
BASELINE = "#555555"
FLOOR = "#999999"

# Okabe and Ito's palette, distinguishable with all common colour blindness; markers repeat it.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LEVEL_MARKERS = ("D", "s", "p", "h", "*", "d")
ARM_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.2)), (0, (1.4, 1)), (0, (5, 1, 1.4, 1)))
"""Line styles of arms."""
_DASHES = ((4.0, 2.0), (1.2, 1.4), (6.0, 1.5, 1.2, 1.5), (2.5, 1.0))

_RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "text.color": INK,
    "savefig.facecolor": "white",
    "text.hinting": "no_hinting",  # the same width at every resolution as in the layout
    "svg.hashsalt": "radscale",
    "svg.fonttype": "none",  # text as text: smaller, searchable, and readable by screen readers
    "text.parse_math": False,  # names may have dollar signs
    "pdf.fonttype": 42,
}

_NO_DATES: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": "radscale"},
    "svg": {"Date": None, "Creator": "radscale"},
    "png": {"Software": "radscale"},
}


_MARK = re.compile(r"(<use [^>]*?) ?/>")


@dataclass(frozen=True)
class ArmStyle:
    """Colour, marker and line of an arm; in grey, marker and line distinguish arms."""

    colour: str
    marker: str
    dash: Any = "-"


def arm_styles(study: Study) -> dict[str, ArmStyle]:
    """Colour and marker of each arm, by its order in the study unless that names a colour."""
    return {
        arm: ArmStyle(
            study.report.colours.get(arm, COLOURS[i % len(COLOURS)]),
            _MARKERS[i % len(_MARKERS)],
            ARM_DASHES[i % len(ARM_DASHES)],
        )
        for i, arm in enumerate(study.arms)
    }


@dataclass(frozen=True)
class LevelStyle:
    """Style of a score without a size: a horizontal line, and a mark at size 0."""

    colour: str
    dash: tuple[float, ...]
    marker: str
    size: float = 4.0


def level_styles(study: Study) -> dict[str, LevelStyle]:
    """Line and mark of each baseline and, thinner and lighter, of each floor."""
    marks = len(_LEVEL_MARKERS)
    levels = {
        name: LevelStyle(BASELINE, _DASHES[i % len(_DASHES)], _LEVEL_MARKERS[i // 4 % marks])
        for i, name in enumerate(study.evaluated_only)
    }
    for name, (encoder, kind) in study.floors.items():
        gap = 1.5 + 1.5 * list(study.origins).index(encoder)
        marker = "x" if kind == "random" else "+"
        levels[name] = LevelStyle(FLOOR, (0.8, gap), marker, 3.5)
    return levels


_over: list[Path] = []
_widths: list[float] = []


def page_width() -> float:
    """Width of a figure across the page, inches."""
    return _widths[-1] if _widths else PAGE


def column_width() -> float:
    """Width of a figure of one column, inches."""
    return _widths[-1] if _widths else COLUMN


@contextmanager
def wide(inches: float | None) -> Iterator[None]:
    """Draw every figure with the same width, inches; None keeps each figure's own."""
    if inches is None:
        yield
        return
    _widths.append(inches)
    try:
        yield
    finally:
        _widths.pop()


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in the style of this module."""
    with mpl.rc_context(_RC):
        for path in _over:
            mpl.rcParams.update(mpl.rc_params_from_file(path, use_default_template=False))
        yield


@contextmanager
def styled(path: Path | None) -> Iterator[None]:
    """Draw with a style file on top of the house style.

    Args:
        path: matplotlib style file; None changes nothing.

    Raises:
        OSError: if it cannot be read.
    """
    if path is None:
        yield
        return
    path.open().close()
    _over.append(path)
    try:
        yield
    finally:
        _over.pop()


@contextmanager
def drawn_for(axes: Axes, study: Study, arm: str) -> Iterator[None]:
    """Mark what this block draws as an arm's, so that a page can switch it off."""
    before = set(axes.get_children())
    yield
    panel = axes.figure.axes.index(axes)
    for i, artist in enumerate(one for one in axes.get_children() if one not in before):
        artist.set_gid(f"arm{list(study.arms).index(arm)}-{panel}-{len(before) + i}")


def name_rows(axes: Axes, names: Sequence[str], metric: str, title: str) -> None:
    """Name the rows 0, 1, … of a chart, first at the top, and its axis; add title and legend."""
    axes.set_yticks(range(len(names)), [one_line(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(one_line(metric))
    axes.set_title(one_line(title))
    axes.figure.legend(loc="outside lower center", ncols=2)


_values: WeakKeyDictionary[Artist, list[str]] = WeakKeyDictionary()


def tell_values(artist: Artist, texts: Iterable[str]) -> None:
    """Give each mark of an artist a text that an SVG shows on hover.

    Args:
        artist: a line with markers.
        texts: texts of its points, in order.
    """
    _values[artist] = list(texts)


def _with_values(svg: str, values: Mapping[str, Sequence[str]]) -> str:
    """An SVG with a `<title>` in each mark of the groups with these ids.

    A group with clipped marks gets none, since texts cannot be assigned to marks.
    """
    for group, texts in values.items():
        start = svg.find(f'<g id="{group}"')
        end = svg.find('<g id="', start + 1) if start >= 0 else -1
        part = svg[start : end if end >= 0 else len(svg)]
        if start >= 0 and len(_MARK.findall(part)) == len(texts):
            svg = svg[:start] + _titled(part, iter(texts)) + svg[start + len(part) :]
    return svg


def _titled(part: str, texts: Iterator[str]) -> str:
    return _MARK.sub(lambda mark: f"{mark[1]}><title>{escape(next(texts))}</title></use>", part)


def new_figure(width: float, height: float, foot: float = 0.0) -> Figure:
    """An empty figure, in inches, without axes in its lowest `foot` inches.

    Draw it inside `house_style()`.
    """
    below = foot / height
    layout = ConstrainedLayoutEngine(rect=(0, below, 1, 1 - below))
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


_LAYOUT_TABLES = ["GDEF", "GPOS", "GSUB", "kern"]


@contextmanager
def _fonts_without_layout() -> Iterator[None]:
    """Leave out of a PDF's fonts the tables that place letters: in a PDF they are placed already.

    Cutting these tables down to the letters of a figure takes longer than drawing it. Matplotlib
    has no setting for it, so that fontTools' own default is changed for the time.
    """
    from fontTools.subset import Options

    before = Options._drop_tables_default
    Options._drop_tables_default = [*before, *_LAYOUT_TABLES]
    try:
        yield
    finally:
        Options._drop_tables_default = before


def save(figure: Figure, folder: Path, name: str, formats: Iterable[str], dpi: int) -> None:
    """Write `folder/name.<format>` for each format, atomically and without dates."""
    # The layout is expensive, and the same for every format.
    layout = figure.get_layout_engine()
    if layout is not None:
        with house_style():
            layout.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        # The solver adds in order of memory addresses, so its last bits differ between runs.
        left, bottom, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))
    values = {}
    for number, artist in enumerate(figure.findobj(lambda one: one in _values)):
        if not artist.get_gid():
            artist.set_gid(f"values-{number}")
        values[str(artist.get_gid())] = _values[artist]
    for suffix in formats:
        path = folder / f"{name}.{suffix}"
        with atomic_write(path) as partial, house_style(), _fonts_without_layout():
            figure.savefig(partial, format=suffix, dpi=dpi, metadata=_NO_DATES[suffix])
            if suffix == "svg" and values:
                svg = _with_values(partial.read_text("utf-8"), values)
                partial.write_text(svg, "utf-8")
