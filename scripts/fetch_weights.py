"""Fetch published weights from the Hugging Face Hub into a folder: the only step with a network."""

from radscale_lib.cli.fetch_weights import main

if __name__ == "__main__":
    main()
