"""Write the phantom archive of a study: DICOM files, reports, labels and tube annotations."""

import argparse
import sys
import time
from pathlib import Path

from radscale_lib.phantom import write_archive
from radscale_lib.provenance.step import add_options, step, study_of


def main(argv: list[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", choices=("institution", "public"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    study = study_of(arguments)
    archive = study.archives.get(arguments.archive)
    if archive is None or archive.phantom is None:
        parser.error(f"{arguments.study}: archive '{arguments.archive}' is no phantom")
    names = ("manifest.json", "reports.csv", "labels.csv", "tubes.csv")
    makes = [arguments.out / name for name in names]
    with step(arguments, study, "phantom", [], makes, archive=arguments.archive):
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
