"""Fit scaling laws: to the scores of a study, or to the curves of any table."""

from radscale_lib.cli.fit import main

if __name__ == "__main__":
    main()
