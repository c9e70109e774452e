"""Pseudonyms, and the keys that are refused."""

import hashlib
import hmac
import os
from pathlib import Path

import pytest

from radscale_lib.pseudonyms import (
    PHANTOM_KEY,
    KeyMissingError,
    key_fingerprint,
    load_key,
    pseudonym,
)
from radscale_lib.study.archive import Archive, Phantom

GOOD = "9f2c4e6a8b0d1c3e5f7a9b1d2e4f6a8c"


@pytest.fixture
def real(tmp_path: Path) -> Archive:
    return Archive(dicom=tmp_path)


def test_a_pseudonym_is_a_keyed_hash_of_its_kind():
    key = GOOD.encode()
    expected = hmac.new(key, b"patient\0MRN 1", hashlib.sha256).hexdigest()[:32]
    assert pseudonym(key, "patient", "MRN 1") == expected
    kinds = {pseudonym(key, kind, "1") for kind in ("patient", "study", "image")}
    assert len(kinds) == 3
    assert pseudonym(b"another " + key, "patient", "MRN 1") != expected


def test_a_key_comes_from_a_file_or_the_environment(real, tmp_path, monkeypatch):
    monkeypatch.setenv("RADSCALE_KEY", GOOD)
    assert load_key(real) == GOOD.encode()
    (tmp_path / "key").write_text(f"{GOOD[::-1]}\n")
    (tmp_path / "key").chmod(0o640)
    assert load_key(Archive(dicom=tmp_path, key_file=tmp_path / "key")) == GOOD[::-1].encode()


@pytest.mark.parametrize("written", [f"{GOOD}\n", f" {GOOD}", f"{GOOD}\r\n", "schlüssel-" + GOOD])
def test_a_key_is_the_same_from_file_and_environment(real, tmp_path, monkeypatch, written):
    monkeypatch.setenv("RADSCALE_KEY", written)
    (tmp_path / "key").write_bytes(os.fsencode(written))
    (tmp_path / "key").chmod(0o600)
    filed = Archive(dicom=tmp_path, key_file=tmp_path / "key")
    assert load_key(real) == load_key(filed) == written.strip().encode()


def test_a_pipe_is_no_key_file(tmp_path):
    os.mkfifo(tmp_path / "key")
    with pytest.raises(KeyMissingError, match="no file"):
        load_key(Archive(dicom=tmp_path, key_file=tmp_path / "key"))


@pytest.mark.parametrize("mode", [0o644, 0o602])
def test_a_key_that_everyone_can_read_is_refused_or_told_of(tmp_path, capsys, mode):
    file = tmp_path / "key"
    file.write_text(GOOD)
    file.chmod(mode)
    archive = Archive(dicom=tmp_path, key_file=file)
    with pytest.raises(KeyMissingError, match=r"everyone on this machine .* chmod 600"):
        load_key(archive)
    assert load_key(archive, lambda key: key == GOOD.encode()) == GOOD.encode()
    told = capsys.readouterr().err
    assert told.startswith("warning: key_file")
    assert GOOD not in told


def test_a_weak_key_in_use_is_told_of(real, monkeypatch, capsys):
    monkeypatch.setenv("RADSCALE_KEY", "short")
    assert load_key(real, lambda key: True) == b"short"
    assert capsys.readouterr().err.startswith("warning: the archive's pseudonyms need")


@pytest.mark.parametrize(
    "key", ["", " ", "short", "0" * 64, "abcabcabcabcabcabcabc", "abcdefghi" * 2]
)
def test_keys_that_can_be_guessed_are_refused(real, monkeypatch, key):
    monkeypatch.setenv("RADSCALE_KEY", key)
    with pytest.raises(KeyMissingError, match=r"radscale key new") as caught:
        load_key(real)
    assert not key.strip() or key not in str(caught.value)


def test_the_phantom_key_is_for_the_phantom(real, monkeypatch):
    monkeypatch.setenv("RADSCALE_KEY", PHANTOM_KEY.decode())
    with pytest.raises(KeyMissingError, match="can be guessed"):
        load_key(real)
    monkeypatch.delenv("RADSCALE_KEY")
    assert load_key(Archive(phantom=Phantom(patients=2))) == PHANTOM_KEY
    with pytest.raises(KeyMissingError, match="16 bytes or more"):
        load_key(real)


def test_an_unreadable_key_file_is_named(tmp_path):
    with pytest.raises(KeyMissingError, match="cannot be read"):
        load_key(Archive(dicom=tmp_path, key_file=tmp_path / "none"))


def test_a_fingerprint_tells_of_another_key_and_nothing_else():
    assert len(key_fingerprint(GOOD.encode())) == 8
    assert key_fingerprint(GOOD.encode()) not in GOOD
    assert key_fingerprint(GOOD.encode()) != key_fingerprint(GOOD[::-1].encode())
