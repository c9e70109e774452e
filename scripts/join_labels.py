"""Join what the sources say to the labels of the study."""

from radscale_lib.cli.join_labels import main

if __name__ == "__main__":
    main()
