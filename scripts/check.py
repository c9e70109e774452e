"""Check a study before it runs: paths, weights, keys, budgets, tables, sizes and labels."""

from radscale_lib.cli.check import main

if __name__ == "__main__":
    main()
