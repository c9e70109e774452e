"""Hashes of text, the same on every machine."""

import hashlib


def text_number(text: str) -> int:
    """BLAKE2b-8 (RFC 7693) of a text as a big-endian integer, to seed or key random draws."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
