"""Folders of studies apart from the code: what `radscale init` writes."""
