"""`python -m radscale_lib.cli`: the command `radscale` without installation."""

from radscale_lib.cli.radscale import main

if __name__ == "__main__":
    main()
