"""Read all results of a study again, and check that each is still what its job wrote."""

from radscale_lib.cli.verify import main

if __name__ == "__main__":
    main()
