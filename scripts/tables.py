"""Read the tables of an archive, check them as a whole, and prepare them for joining."""

from radscale_lib.cli.tables import main

if __name__ == "__main__":
    main()
