"""Gather all scores of the study in one table."""

from radscale_lib.cli.gather import main

if __name__ == "__main__":
    main()
