"""Pretraining: one run per (arm, size, seed), with a fixed budget of samples seen."""
