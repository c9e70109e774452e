"""Embed a folder of DICOM, PNG or JPEG images by any encoder.

Exit status: 0 if every image file was embedded; 3 if some could not be read (these are named, and
the table has the others); 1 if nothing was written; 2 for a wrong command line.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

SOME_BAD = 3
"""Exit status if some files could not be read."""


def main(argv: Sequence[str] | None = None) -> None:
    """Write a table with a row for each image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "spec",
        metavar="SPEC",
        help="encoder.safetensors of a run, or its folder; a folder of transformers; "
        "timm:NAME[,weights=PATH] or open_clip:NAME[,weights=PATH]",
    )
    parser.add_argument(
        "images", metavar="IMAGES", type=Path, help="folder of images (with subfolders), or one"
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    parser.add_argument(
        "--levels", action="store_true", help="also write the means of the four feature levels"
    )
    parser.add_argument(
        "--study", type=Path, help="read DICOM as this study does (default: ingest's defaults)"
    )
    parser.add_argument("--batch", type=int, default=16, help="images at once (default: 16)")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="(default: all cores)"
    )
    args = parser.parse_args(argv)
    if args.batch < 1 or args.threads < 1:
        parser.error("--batch and --threads must be at least 1")
    sys.exit(_embed(args))


def _embed(args: argparse.Namespace) -> int:
    from radscale_lib.embedding.folder import image_files, read_all
    from radscale_lib.provenance.step import InputError
    from radscale_lib.study import StudyError, load_study
    from radscale_lib.texts import plain

    try:
        image = load_study(args.study).institution.image if args.study else None
        if args.out.is_dir():
            raise InputError(f"--out {args.out}: is a folder: name a file to write")
        paths, others = image_files(args.images)
        if not paths:
            raise InputError(f"{args.images}: no DICOM, PNG or JPEG file in this folder")

        import torch

        from radscale_lib.embedding.table import write_embeddings
        from radscale_lib.encoders import load

        torch.set_num_threads(args.threads)
        try:
            torch.zeros(1, device=args.device)
        except (AssertionError, RuntimeError):
            raise InputError(f"--device {args.device}: torch has none here: use cpu") from None
        tower = load(args.spec).to(args.device)
        pixels = read_all(paths, image, args.threads)
        counts = write_embeddings(
            tower, args.images, paths, pixels, args.out, levels=args.levels, batch=args.batch
        )
    except (InputError, StudyError, OSError) as error:
        print(f"radscale embed: {plain(str(error))}", file=sys.stderr)
        return 1
    said = f"{counts.embedded:,} images embedded"
    if counts.bad:
        said += f", {counts.bad:,} bad file{'s' * (counts.bad != 1)} left out"
    if others:
        said += f", {others:,} other file{'s' * (others != 1)} ignored"
    print(f"{said}: {args.out}", file=sys.stderr)
    return SOME_BAD if counts.bad else 0
