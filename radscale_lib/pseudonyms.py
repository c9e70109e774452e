"""Pseudonyms: keyed hashes that replace every identifier of a patient, study or image."""

import hashlib
import hmac
import os
from typing import Literal

from radscale_lib.study.archive import Archive

PHANTOM_KEY = b"radscale phantom: there is no patient to protect"

Kind = Literal["patient", "study", "image"]


class KeyMissingError(ValueError):
    """No secret key where one is needed."""


def load_key(archive: Archive) -> bytes:
    """The secret key of an archive's pseudonyms.

    From `key_file`, else the environment variable RADSCALE_KEY; a phantom needs none.

    Raises:
        KeyMissingError: if a real archive has no key, one shorter than 16 bytes, or one of a few
            different characters.
    """
    if archive.phantom is not None:
        return PHANTOM_KEY
    if archive.key_file is not None:
        try:
            key = archive.key_file.read_bytes().strip()
        except OSError as error:
            raise KeyMissingError(
                f"key_file {archive.key_file}: cannot be read ({error.strerror})"
            ) from None
    else:
        key = os.environ.get("RADSCALE_KEY", "").encode()
    if len(key) < 16:
        raise KeyMissingError(
            "the archive's pseudonyms need a secret key of 16 bytes or more: set key_file, or the "
            "environment variable RADSCALE_KEY (make one with: openssl rand -hex 32)"
        )
    if key == PHANTOM_KEY or len(set(key)) < 8:
        raise KeyMissingError(
            "the secret key of the archive's pseudonyms can be guessed: make one with "
            "openssl rand -hex 32, and set key_file or RADSCALE_KEY"
        )
    return key


def pseudonym(key: bytes, kind: Kind, identifier: str) -> str:
    """HMAC-SHA256 of an identifier, the first 16 bytes in hexadecimal (RFC 2104).

    The kind separates domains: equal texts of two kinds get unrelated pseudonyms.
    """
    message = f"{kind}\0{identifier}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


def key_fingerprint(key: bytes) -> str:
    """A short one-way mark of a key, so that a changed key is seen without storing it."""
    return hmac.new(key, b"radscale key fingerprint", hashlib.sha256).hexdigest()[:8]


def unit_interval(text: str, salt: str) -> float:
    """A stable number in [0, 1): BLAKE2b (RFC 7693) of `text`, keyed by `salt`.

    The first 8 digest bytes, big-endian, over 2^64. `salt` has at most 64 bytes.
    """
    digest = hashlib.blake2b(text.encode(), key=salt.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
