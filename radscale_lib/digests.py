"""Numbers that stand for texts, the same everywhere and always."""

import hashlib


def text_number(text: str) -> int:
    """BLAKE2b-8 (RFC 7693) of a text, read big-endian: 64 bits, to seed or key random draws."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
