"""List the files of an archive, partition by partition."""

from radscale_lib.cli.scan import main

if __name__ == "__main__":
    main()
