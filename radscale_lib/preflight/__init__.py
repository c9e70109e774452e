"""Preflight: find within seconds what would stop a study hours or weeks after its start."""
