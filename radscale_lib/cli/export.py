"""Export an encoder for transformers, timm or open_clip, or as safetensors, with a model card."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from radscale_lib.provenance.step import InputError, add_options, step, study_of
from radscale_lib.study import Study
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
    add_options(parser, required=False)
    parser.add_argument("--arm", help="arm of the run; given by the workflow")
    parser.add_argument(
        "--scores", type=Path, help="scores.parquet for the card (default: of the run's study)"
    )
    parser.add_argument(
        "--license", default="other", help="licence for the card, as the Hub names it"
    )
    parser.add_argument("--half", action="store_true", help="store weights as float16")
    args = parser.parse_args(argv)

    from radscale_lib.hub.export import export

    try:
        study = study_of(args) if args.study else None
        with _recorded(args, study):
            export(
                args.encoder,
                args.to,
                args.out,
                study=study,
                scores=args.scores,
                license=args.license,
                half=args.half,
            )
    except (InputError, OSError) as error:
        print(f"radscale export: {plain(str(error))}", file=sys.stderr)
        sys.exit(1)


def _recorded(args: argparse.Namespace, study: Study | None) -> AbstractContextManager[str | None]:
    """Write the manifest of a workflow job; a call by hand writes none."""
    if study is None or args.arm is None:
        return nullcontext()
    encoder = Path(args.encoder)
    reads = [encoder, encoder.with_name("encoder.json"), args.scores]
    return step(args, study, "export", reads, [args.out], arm=args.arm)
