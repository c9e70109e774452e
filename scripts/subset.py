"""Draw a nested subset of the pretraining pool."""

from radscale_lib.cli.subset import main

if __name__ == "__main__":
    main()
