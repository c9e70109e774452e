"""Copies of shards on a node's own disk."""

import os
from pathlib import Path

import pytest

from radscale_lib.shards import staging
from radscale_lib.shards.staging import stage


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for part in range(3):
        (folder / f"part={part}.parquet").write_bytes(bytes([part]) * 100)
    return folder


def test_what_is_needed_is_copied_once(shards: Path, tmp_path: Path) -> None:
    names = ["part=0.parquet", "part=2.parquet"]
    folder = stage(shards, names, tmp_path / "scratch")
    assert sorted(path.name for path in folder.iterdir()) == names
    inode = (folder / names[0]).stat().st_ino
    stage(shards, names, tmp_path / "scratch")
    assert (folder / names[0]).stat().st_ino == inode
    (shards / names[0]).write_bytes(b"new")
    os.utime(shards / names[0], ns=(1, 1))
    stage(shards, names, tmp_path / "scratch")
    assert (folder / names[0]).read_bytes() == b"new"


def test_without_space_shards_are_read_in_place(
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = staging.shutil.disk_usage(tmp_path)._replace(free=50)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _: usage)
    assert stage(shards, ["part=0.parquet"], tmp_path / "scratch") == shards
    assert "do not fit" in capsys.readouterr().err
