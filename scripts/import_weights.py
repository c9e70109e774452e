"""Make a baseline run of an encoder's released weights."""

from radscale_lib.cli.import_weights import main

if __name__ == "__main__":
    main()
