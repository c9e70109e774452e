"""Partitions with postponed files, which are ingested again at the next run.

Standard library only: the workflow calls `take_up` when it starts.
"""

from pathlib import Path

from radscale_lib.files import atomic_write


def note(ledger: Path, files: int) -> None:
    """Record beside a partition's ledger how many of its files are postponed."""
    mark = _mark(ledger)
    if files:
        with atomic_write(mark) as unfinished:
            unfinished.write_text(f"{files}\n")
    else:
        mark.unlink(missing_ok=True)


def take_up(folder: Path) -> int:
    """Remove the ledgers of partitions with postponed files, so that they are made again.

    Args:
        folder: an archive's folder of ledgers.

    Returns:
        How many there were.
    """
    marks = sorted(folder.glob("part=*.retry"))
    for mark in marks:
        mark.with_suffix(".parquet").unlink(missing_ok=True)
        mark.unlink()
    return len(marks)


def _mark(ledger: Path) -> Path:
    return ledger.with_suffix(".retry")
