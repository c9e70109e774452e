"""Choose the test images that the report shows for a task: films with masks, or reports."""

from radscale_lib.cli.examples import main

if __name__ == "__main__":
    main()
