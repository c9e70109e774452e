"""Nested subsets of the pretraining pool: prefixes of one stable order per seed."""

import os

# polars' allocator keeps freed memory for ten seconds, which would double an order's need.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
