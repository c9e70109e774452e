"""One table of all scores of the study."""

from radscale_lib.cli.compare import main

if __name__ == "__main__":
    main()
