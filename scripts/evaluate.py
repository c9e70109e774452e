"""Compute the features and predictions of a run."""

from radscale_lib.cli.evaluate import main

if __name__ == "__main__":
    main()
