"""Command lines: `radscale COMMAND`, and what the scripts of the same names run."""
