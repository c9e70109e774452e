"""Index the byte range of every image of an archive's shards, and verify the shards by it."""

from radscale_lib.cli.index_shards import main

if __name__ == "__main__":
    main()
