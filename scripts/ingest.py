"""Turn one partition of an archive into a shard, an index and a ledger."""

from radscale_lib.cli.ingest import main

if __name__ == "__main__":
    main()
