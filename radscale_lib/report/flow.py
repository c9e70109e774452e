"""A flow diagram of an archive's files, like those of patients in trials: what left, where, why."""

from typing import NamedTuple
from xml.sax.saxutils import escape

import polars as pl

_STAGES = {
    "scan": "opened",
    "header": "with a readable header",
    "selection": "selected by the study",
    "pixels": "with sound pixels",
    "duplicates": "accepted",
}
"""The stages that can refuse a file, and the words for files that pass."""
_MOST_REASONS = 4
_WIDTH, _MAIN, _SIDE = 720, 250, 330
"""Width of the drawing and of a main box, and left edge of the side boxes."""
_LINE, _PAD, _GAP = 17, 10, 22


class Step(NamedTuple):
    """A stage of ingest."""

    passed: int
    title: str
    refused: list[tuple[str, int]]
    """Outcome with reason, and number of files; most frequent first."""


def steps(ledger: pl.DataFrame) -> list[Step]:
    """Files that pass each stage, and those refused; files that pass the last are accepted."""
    left = ledger.height
    found = []
    for stage, title in _STAGES.items():
        refused = (
            ledger.filter(pl.col("stage") == stage)
            .group_by("outcome", "reason")
            .len("files")
            .sort("files", "outcome", "reason", descending=[True, False, False])
        )
        left -= int(refused["files"].sum())
        reasons = [(f"{outcome}: {reason}", files) for outcome, reason, files in refused.rows()]
        found.append(Step(left, title, reasons))
    return found


def flow_diagram(name: str, ledger: pl.DataFrame) -> str:
    """The diagram as SVG."""
    parts = [_box(0, 0, _MAIN, [f"{ledger.height:,} files found"])]
    described = [f"{ledger.height:,} files found"]
    top = _height(1)
    for step in steps(ledger):
        lines = _lines(step.refused)
        middle = top + (_GAP + max(_height(len(lines)), _GAP)) / 2
        if lines:
            beside = middle - _height(len(lines)) / 2
            parts.append(_arrow(_MAIN / 2, middle, _SIDE, middle))
            parts.append(_box(_SIDE, beside, _WIDTH - _SIDE, lines))
            described.append(f"less {'; '.join(lines)}")
        below = top + _GAP + max(_height(len(lines)), _GAP)
        parts.append(_arrow(_MAIN / 2, top, _MAIN / 2, below))
        parts.append(_box(0, below, _MAIN, [f"{step.passed:,} {step.title}"]))
        described.append(f"{step.passed:,} {step.title}")
        top = below + _height(1)
    label = escape(f"Files of {name}: {', '.join(described)}", {'"': "&quot;"})
    return (
        f'<svg class="flow" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {top + 2:g}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _lines(refused: list[tuple[str, int]]) -> list[str]:
    shown = [f"{files:,} {reason}" for reason, files in refused[:_MOST_REASONS]]
    others = refused[_MOST_REASONS:]
    if others:
        shown.append(f"{sum(files for _, files in others):,} for {len(others)} other reasons")
    return shown


def _height(lines: int) -> int:
    return lines * _LINE + 2 * _PAD if lines else 0


def _box(x: float, y: float, width: float, lines: list[str]) -> str:
    texts = "".join(
        f'<text x="{x + _PAD:g}" y="{y + _PAD + (i + 0.75) * _LINE:g}">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    place = f'x="{x + 1:g}" y="{y + 1:g}" width="{width - 2:g}"'
    return f'<rect {place} height="{_height(len(lines)) - 2}" rx="4"/>{texts}'


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    size = 5
    back, side = (-size, 0), (0, size)
    if x0 == x1:
        back, side = (0, -size), (size, 0)
    head = " ".join(
        f"{x1 + dx:g},{y1 + dy:g}"
        for dx, dy in (
            (0, 0),
            (back[0] + side[0], back[1] + side[1]),
            (back[0] - side[0], back[1] - side[1]),
        )
    )
    return f'<path d="M{x0:g} {y0:g}L{x1:g} {y1:g}"/><polygon points="{head}"/>'
