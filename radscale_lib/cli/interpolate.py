"""Make the encoder of an interpolated arm of a trained run and its base."""

import argparse
from pathlib import Path

from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study import Run


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and interpolate."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--arm", required=True, help="entry of 'arms' that interpolates")
    parser.add_argument("--size", type=int, required=True, help="images of the subset")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument("--trained", type=Path, required=True, help="encoder of the trained run")
    parser.add_argument("--base", type=Path, required=True, help="encoder that it continued")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    args = parser.parse_args(argv)
    study = study_of(args)

    from radscale_lib.pretrain.run import run_files

    reads = [args.trained, args.trained.with_name("encoder.json"), args.base]
    with step(args, study, "interpolate", reads, run_files(args.out), arm=args.arm) as stage:
        from radscale_lib.pretrain.interpolate import interpolate

        run, section = Run(args.arm, args.size, args.seed), study.interpolated_arms[args.arm]
        interpolate(run, section, args.trained, args.base, args.out, stage)
