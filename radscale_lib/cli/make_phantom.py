"""Write the phantom archive of a study: DICOM files, reports, labels and tube annotations."""

import argparse
from pathlib import Path

from radscale_lib.phantom import write_archive
from radscale_lib.progress import Progress
from radscale_lib.provenance.step import add_options, step, study_of


def main(argv: list[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--threads", type=int, default=1, help="processes (default: 1)")
    arguments = parser.parse_args(argv)
    study = study_of(arguments)
    archive = study.archives.get(arguments.archive)
    if archive is None or archive.phantom is None:
        parser.error(f"{arguments.study}: archive '{arguments.archive}' is not a phantom")
    names = ("manifest.json", "reports.csv", "labels.csv", "tubes.csv")
    makes = [arguments.out / name for name in names]
    with step(arguments, study, "phantom", [], makes, archive=arguments.archive):
        patients = Progress(f"phantom {arguments.archive}", archive.phantom.patients, "patients")
        write_archive(
            archive.phantom,
            arguments.out,
            progress=patients.reach,
            processes=arguments.threads,
        )
