"""Nested subsets of the pretraining pool: prefixes of one stable order per seed."""
