"""List the files of a study that may leave the institution, check them, and copy them."""

from radscale_lib.cli.release import main

if __name__ == "__main__":
    main()
