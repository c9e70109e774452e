"""Train one run: an arm at a size and seed, or base weights; an earlier result is reused."""

from radscale_lib.cli.pretrain import main

if __name__ == "__main__":
    main()
