"""Scaling laws over a handful of sizes: laws, fits with honest intervals, crossovers."""
