"""Compare all encoders of a study in pairs."""

from radscale_lib.cli.compare import main

if __name__ == "__main__":
    main()
