"""Scores and predictions of one task for one run."""

from radscale_lib.cli.evaluate import main

if __name__ == "__main__":
    main()
