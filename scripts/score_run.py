"""Score a run's predictions, without its encoder."""

from radscale_lib.cli.score_run import main

if __name__ == "__main__":
    main()
