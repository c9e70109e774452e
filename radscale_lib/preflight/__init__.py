"""Preflight: what would stop a study hours or weeks after its start, found within seconds."""
