"""Describe the subsets of a study: size, patients, labels and views, and how they differ."""

from radscale_lib.cli.subset_card import main

if __name__ == "__main__":
    main()
