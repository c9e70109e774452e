"""Draw the figures of a study, and write the tables they plot."""

from radscale_lib.cli.figures import main

if __name__ == "__main__":
    main()
