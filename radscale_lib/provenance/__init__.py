"""Provenance of each result: settings, code and inputs, with their digests."""
