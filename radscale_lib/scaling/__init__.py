"""Scaling laws over a handful of sizes: laws, fits with calibrated intervals, crossovers."""
