"""Write a project folder: a study file, a Snakefile that uses the installed workflow, profiles."""

import argparse
import shlex
import sys

from radscale_lib.cli import folder
from radscale_lib.project.folder import STUDIES, ProjectError, write_project


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=folder, help="folder to write; nothing in it is overwritten")
    parser.add_argument(
        "--study",
        default="hospital",
        help=f"study file to begin with, or {', '.join(STUDIES)} (default: hospital)",
    )
    parser.add_argument("--name", help="name of the study (default: the folder's)")
    args = parser.parse_args(argv)
    try:
        written = write_project(args.folder, args.study, args.name)
    except ProjectError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    for file in written:
        print(args.folder / file)
    there = shlex.quote(str(args.folder))
    print(f"\nNext: edit {args.folder / 'config/config.yaml'}; cd {there}; snakemake check")
