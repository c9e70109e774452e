"""Pooled features of a frozen encoder for all images outside the pool."""

from radscale_lib.cli.features import main

if __name__ == "__main__":
    main()
