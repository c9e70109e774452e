"""Draw a nested subset of the pretraining pool."""

import argparse
from pathlib import Path

from radscale_lib.study import StudyError, load_study
from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.table import write_subset


def main(argv: list[str] | None = None) -> None:
    """Write the first N images of the seed's order, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog of the archive")
    parser.add_argument("--seed", type=int, required=True, help="seed of the order")
    parser.add_argument("--size", type=int, required=True, help="number of images")
    parser.add_argument("--out", type=Path, required=True, help="subset to write (Parquet)")
    args = parser.parse_args(argv)
    try:
        settings = load_study(args.study).subsets
        write_subset(args.catalog, args.seed, args.size, settings, args.out)
    except (StudyError, SubsetError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
