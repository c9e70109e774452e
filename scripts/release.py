"""List what of a study may leave the institution, check it, and copy it."""

from radscale_lib.cli.release import main

if __name__ == "__main__":
    main()
