"""Losses, each over the global batch whatever the number of devices."""
