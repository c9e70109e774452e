"""Export an encoder for transformers, timm or open_clip, or as safetensors, with a model card."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import InputError
from radscale_lib.study import StudyError, load_study
from radscale_lib.texts import plain

FORMS = ("transformers", "timm", "open_clip", "safetensors")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the folder; fail, and write nothing, if the kind of encoder has no such form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "encoder",
        metavar="ENCODER",
        help="encoder.safetensors of a run, or its folder, or an encoder as embed takes it",
    )
    parser.add_argument("--to", choices=FORMS, required=True, help="library that will load it")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--study", type=Path, help="study file, for the card's section on data")
    parser.add_argument(
        "--scores", type=Path, help="scores.parquet for the card (default: of the run's study)"
    )
    parser.add_argument(
        "--license", default="other", help="licence for the card, as the Hub names it"
    )
    args = parser.parse_args(argv)

    from radscale_lib.hub.export import export

    try:
        export(
            args.encoder,
            args.to,
            args.out,
            study=load_study(args.study) if args.study else None,
            scores=args.scores,
            license=args.license,
        )
    except (InputError, StudyError, OSError) as error:
        print(f"radscale export: {plain(str(error))}", file=sys.stderr)
        sys.exit(1)
