"""Make a floor: an encoder with random weights, or principal components of the pixels."""

from radscale_lib.cli.floor import main

if __name__ == "__main__":
    main()
