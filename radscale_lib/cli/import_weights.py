"""Make a baseline run of an encoder's released weights."""

import argparse
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and import."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--encoder", required=True, help="entry of 'encoders' with 'weights'")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    args = parser.parse_args(argv)
    study = study_of(args)
    known = [name for name, encoder in study.encoders.items() if encoder.weights]
    if args.encoder not in known:
        said = f"use one of {', '.join(known)}" if known else "the study has none"
        parser.exit(1, f"{args.encoder}: no entry of 'encoders' with 'weights': {said}\n")

    from radscale_lib.pretrain.released import import_weights
    from radscale_lib.pretrain.run import run_files

    weights, arm = study.encoders[args.encoder].weights, study.baselines[args.encoder]
    with step(args, study, "weights", [weights], run_files(args.out), arm=arm):
        import_weights(study, args.encoder, args.out)
