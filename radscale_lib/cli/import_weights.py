"""Make a baseline run of an encoder's released weights, of a study or by themselves."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from radscale_lib.provenance.step import InputError, add_options, step, study_of


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "spec",
        metavar="SPEC",
        nargs="?",
        help="without a study: KIND:key=value,… as in a study file, such as "
        "rad-dino:weights=FOLDER or timm:NAME,weights=FILE, or a folder in Hugging Face form",
    )
    add_options(parser, required=False)
    parser.add_argument("--arm", help="baseline of the study, whose encoder has weights")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    args = parser.parse_args(argv)
    if bool(args.spec) == bool(args.study and args.arm):
        parser.error("give SPEC, or --study and --arm")

    from radscale_lib.pretrain.released import import_alone, import_weights
    from radscale_lib.pretrain.run import run_files

    if args.spec:
        try:
            import_alone(args.spec, args.out)
        except InputError as error:
            parser.exit(1, f"{error}\n")
        return
    study = study_of(args)
    names = study.evaluated_only.items()
    known = [name for name, encoder in names if study.encoders[encoder].has_weights]
    if args.arm not in known:
        said = f"use one of {', '.join(known)}" if known else "the study has none"
        parser.exit(1, f"{args.arm}: no baseline whose encoder has weights: {said}\n")
    weights = study.encoders[study.encoder_of(args.arm)].weights
    with step(args, study, "weights", [weights], run_files(args.out), arm=args.arm):
        import_weights(study, args.arm, args.out)
