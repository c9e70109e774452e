"""Score each source's labels by the answers of a filled sample."""

from radscale_lib.cli.audit_labels import main

if __name__ == "__main__":
    main()
