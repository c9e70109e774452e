"""Read all results of a study again: is each still what its job wrote?"""

from radscale_lib.cli.verify import main

if __name__ == "__main__":
    main()
