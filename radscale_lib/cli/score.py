"""Score a table of predictions, with intervals, without an encoder."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Write the scores; exit with 1, and write nothing, if a cell is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--predictions",
        type=Path,
        required=True,
        help="Parquet with patient_id, target:<label>, logit:<label> and, if wanted, split",
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet of scores to write")
    parser.add_argument("--resamples", type=resamples, default=1000, help="draws of patients")
    parser.add_argument("--confidence", type=level, default=0.95, help="level of the intervals")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the draws")
    args = parser.parse_args(argv)

    from radscale_lib.tasks.rescore import PredictionsError, score_predictions

    if args.out.is_dir():
        parser.exit(1, f"--out {args.out}: is a folder: name a file to write\n")
    if args.out.exists() and args.predictions.exists() and args.out.samefile(args.predictions):
        parser.exit(1, f"--out {args.out}: is the file of predictions: name another\n")
    try:
        score_predictions(args.predictions, args.out, args.resamples, args.confidence, args.seed)
    except PredictionsError as error:
        parser.exit(1, f"{args.predictions}: {error}\n")
    except OSError as error:
        parser.exit(1, f"--out {args.out}: cannot be written ({error.strerror}): name another\n")


def seed(text: str) -> int:
    """A whole number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("must be a whole number of 0 or more")
    return int(text)


def resamples(text: str) -> int:
    """A number of draws that is large enough."""
    from radscale_lib.study.evaluation import FEWEST_RESAMPLES

    if not text.isdecimal() or int(text) < FEWEST_RESAMPLES:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {FEWEST_RESAMPLES}")
    return int(text)


def level(text: str) -> float:
    """A share between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must be a number between 0 and 1")
    return value


if __name__ == "__main__":
    main()
