"""Download published weights from the Hugging Face Hub: the only step that needs a network."""

from radscale_lib.cli.fetch_weights import main

if __name__ == "__main__":
    main()
