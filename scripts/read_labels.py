"""Read labels from the reports of a part of the studies, by rules or by an endpoint."""

from radscale_lib.cli.read_labels import main

if __name__ == "__main__":
    main()
