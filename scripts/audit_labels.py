"""Score each source's labels against a person's answers in a filled sample."""

from radscale_lib.cli.audit_labels import main

if __name__ == "__main__":
    main()
