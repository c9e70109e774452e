"""Pseudonyms: keyed hashes that replace every identifier of a patient, study or image."""

import hashlib
import hmac
import os
import stat
import sys
from collections.abc import Callable
from typing import Literal

from radscale_lib.study.archive import Archive

PHANTOM_KEY = b"radscale phantom: there is no patient to protect"

Kind = Literal["patient", "study", "image", "device"]


class KeyMissingError(ValueError):
    """A required secret key is missing."""


def read_key(archive: Archive) -> bytes:
    """The secret key of an archive's pseudonyms, strong or weak.

    It is read from `key_file`, or else from the environment variable RADSCALE_KEY, without
    surrounding blanks; a phantom needs none.

    Raises:
        KeyMissingError: if a real archive has none.
    """
    if archive.phantom is not None:
        return PHANTOM_KEY
    if archive.key_file is not None:
        if archive.key_file.exists() and not archive.key_file.is_file():
            raise KeyMissingError(f"key_file {archive.key_file}: no file: correct the path")
        try:
            key = archive.key_file.read_bytes()
        except OSError as error:
            raise KeyMissingError(
                f"key_file {archive.key_file}: cannot be read ({error.strerror})"
            ) from None
    else:
        key = os.environb.get(b"RADSCALE_KEY", b"")
    if not key.strip():
        raise KeyMissingError(_TOO_SHORT)
    return key.strip()


def load_key(archive: Archive, is_used: Callable[[bytes], bool] = lambda key: False) -> bytes:
    """The secret key of an archive's pseudonyms, if it is strong enough.

    Args:
        archive: the archive.
        is_used: whether the archive was ingested with a key. Weaknesses of such a key are only
            noted, since another key would give other pseudonyms.

    Raises:
        KeyMissingError: if a real archive has no key, or a new one a weak key: shorter than 16
            bytes, with few distinct characters, repetitive, or in a file that everyone on the
            machine can read.
    """
    key = read_key(archive)
    problem = None if archive.phantom is not None else key_weakness(archive, key)
    if problem and not is_used(key):
        raise KeyMissingError(problem)
    if problem:
        print(f"warning: {problem}", file=sys.stderr)
    return key


_TOO_SHORT = (
    "the archive's pseudonyms need a secret key of 16 bytes or more: set key_file, or the "
    "environment variable RADSCALE_KEY (make one with: radscale key new FILE)"
)


def key_weakness(archive: Archive, key: bytes) -> str | None:
    """The weakness of a real archive's key, with the remedy; null if none is found."""
    if len(key) < 16:
        return _TOO_SHORT
    repeats = (key + key).find(key, 1) < len(key)
    if key == PHANTOM_KEY or len(set(key)) < 8 or repeats:
        return (
            "the secret key of the archive's pseudonyms can be guessed: make one with "
            "radscale key new FILE, and set key_file or RADSCALE_KEY"
        )
    file = archive.key_file
    if file is not None and file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return (
            f"key_file {file}: everyone on this machine can read or change it, and so trace "
            f"pseudonyms back: chmod 600 {file}"
        )
    return None


def device_code(key: bytes, model: str | None) -> str | None:
    """A keyed code for a device's model, whose name is free text and may identify someone."""
    return None if model is None else f"device-{pseudonym(key, 'device', model)[:8]}"


def pseudonym(key: bytes, kind: Kind, identifier: str) -> str:
    """HMAC-SHA256 of an identifier, the first 16 bytes in hexadecimal (RFC 2104).

    The kind separates domains: equal texts of two kinds get unrelated pseudonyms.
    """
    message = f"{kind}\0{identifier}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


def key_fingerprint(key: bytes) -> str:
    """A short one-way mark of a key, by which a changed key is noticed without storing it."""
    return hmac.new(key, b"radscale key fingerprint", hashlib.sha256).hexdigest()[:8]


def unit_interval(text: str, salt: str) -> float:
    """A stable number in [0, 1): BLAKE2b (RFC 7693) of `text`, keyed by `salt`.

    The first 8 digest bytes, big-endian, over 2^64. `salt` has at most 64 bytes.
    """
    digest = hashlib.blake2b(text.encode(), key=salt.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
