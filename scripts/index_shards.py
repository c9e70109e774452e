"""Index the byte range of every image in an archive's shards, and verify the shards."""

from radscale_lib.cli.index_shards import main

if __name__ == "__main__":
    main()
