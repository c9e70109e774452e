"""Write the report of a study: one HTML file that opens offline."""

from radscale_lib.cli.report import main

if __name__ == "__main__":
    main()
