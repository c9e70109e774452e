"""Merge the partitions of an archive into one ledger and one catalog."""

from radscale_lib.cli.catalog import main

if __name__ == "__main__":
    main()
