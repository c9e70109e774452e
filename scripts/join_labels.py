"""Join the labels of all sources to those of the study."""

from radscale_lib.cli.join_labels import main

if __name__ == "__main__":
    main()
