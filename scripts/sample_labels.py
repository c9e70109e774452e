"""Draw reports for a person to read, as a table to fill and as a page that works offline."""

from radscale_lib.cli.sample_labels import main

if __name__ == "__main__":
    main()
