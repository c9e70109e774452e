"""The keyed hash on which all orders are based."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def unit_key(unit_id: str, seed: int) -> int:
    """Position of a unit in a seed's order: BLAKE2b-8 (RFC 7693) of its id, keyed by the seed.

    The key is the text `subset seed <seed>`; the digest is read big-endian.
    """
    return int(unit_keys([unit_id], seed)[0])


def unit_keys(unit_ids: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """Keys of many units, uint64 [units] (`unit_key`)."""
    keyed = hashlib.blake2b(key=f"subset seed {seed}".encode(), digest_size=8)
    digests = bytearray()
    for unit_id in unit_ids:
        state = keyed.copy()
        state.update(unit_id.encode())
        digests += state.digest()
    return np.frombuffer(bytes(digests), ">u8").astype(np.uint64)
