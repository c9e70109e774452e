"""Make the encoder of an interpolated arm of a trained run and its base."""

from radscale_lib.cli.interpolate import main

if __name__ == "__main__":
    main()
