"""Make a baseline run of an encoder's released weights."""

import argparse
from pathlib import Path

from radscale_lib.study import load_study


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--encoder", required=True, help="entry of 'encoders' with 'weights'")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    args = parser.parse_args(argv)
    study = load_study(args.study)

    from radscale_lib.pretrain.released import import_weights

    import_weights(study, args.encoder, args.out)


if __name__ == "__main__":
    main()
