"""Patch-similarity maps of one tube tip: an arm's smallest subset against its largest."""

from radscale_lib.cli.similarity import main

if __name__ == "__main__":
    main()
