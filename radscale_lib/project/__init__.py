"""Project folders for studies, separate from the code, as written by `radscale init`."""
