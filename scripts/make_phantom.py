"""Write the phantom archive of a study: DICOM files, reports, labels and tube annotations."""

import argparse
import sys
import time
from pathlib import Path

from radscale_lib.phantom import write_archive
from radscale_lib.study import load_study


def main(argv: list[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    parser.add_argument("--archive", choices=("institution", "public"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    archive = load_study(arguments.study).archives.get(arguments.archive)
    if archive is None or archive.phantom is None:
        parser.error(f"{arguments.study}: archive '{arguments.archive}' is no phantom")
    write_archive(archive.phantom, arguments.out, progress=_Progress(arguments.archive))


class _Progress:
    """Says on stderr, every few seconds, how far the archive is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said < 4 and done < total:
            return
        self._said = now
        left = (now - self._start) / done * (total - done)
        print(f"phantom {self._name}: {done}/{total} patients, {left:.0f} s left", file=sys.stderr)


if __name__ == "__main__":
    main()
