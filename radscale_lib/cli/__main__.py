"""`python -m radscale_lib.cli`: the command `radscale` where it is not installed."""

from radscale_lib.cli.radscale import main

if __name__ == "__main__":
    main()
