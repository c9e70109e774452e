"""Nested subsets of the pretraining pool: prefixes of one stable order per seed."""

import os

# polars' allocator keeps what is freed for ten seconds, which is as much again as an order needs.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
