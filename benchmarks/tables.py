"""Write tables of benchmarks into the documents."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from radscale_lib.files import atomic_write


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table, its first column left-aligned and the others right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine(*packages: str) -> str:
    """Processor, cores and versions, for the line above a table."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    names = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, {names}"


def write_between_marks(page: Path, mark: str, text: str) -> None:
    """Replace the text between `<!-- mark -->` and `<!-- end mark -->` on a page."""
    before, start, rest = page.read_text().partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end {mark} -->")
    if not (start and end):
        raise ValueError(f"{page}: no marks of {mark!r}")
    with atomic_write(page) as partial:
        partial.write_text(f"{before}{start}{text.rstrip()}\n{end}{after}")
