"""Random streams, one per named object, so that no draw depends on the number of earlier ones."""

import hashlib

import numpy as np


def stream(*key: int | str) -> np.random.Generator:
    """The random generator of a key, independent of other draws.

    The seed of the PCG64 generator is the 16-byte BLAKE2b digest (RFC 7693) of the key.
    """
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest(*key))))


def digest(*key: int | str) -> bytes:
    """16 bytes derived from a key (BLAKE2b, RFC 7693)."""
    text = "\0".join(map(str, key))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def uid(*key: int | str) -> str:
    """A DICOM unique identifier derived from a key, under the UUID root 2.25 (PS3.5, B.2)."""
    return f"2.25.{int.from_bytes(digest('uid', *key))}"
