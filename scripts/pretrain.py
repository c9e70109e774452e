"""Train one run: an arm at a size and seed, or base weights; replayed if it was finished before."""

from radscale_lib.cli.pretrain import main

if __name__ == "__main__":
    main()
