"""Compute patch-similarity maps of one tube tip, and how many tips an arm's encoders find."""

from radscale_lib.cli.similarity import main

if __name__ == "__main__":
    main()
