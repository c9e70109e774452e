"""The listing of an archive: complete, sorted, partitioned, and untouched where nothing changed."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.archive import listing
from radscale_lib.archive.header import read_header
from radscale_lib.archive.listing import (
    NOT_A_FILE,
    Entry,
    ListingError,
    entry_of,
    partition_of,
    read_listing,
    refresh,
    walk,
)
from radscale_lib.archive.masks import refresh_masks
from radscale_lib.archive.outcomes import PostponedError

names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8)
trees = st.lists(st.lists(names, min_size=1, max_size=3), max_size=15)


def plant(folder: Path, tree: list[list[str]]) -> set[str]:
    """Make the files that can be made; returns their paths."""
    for parts in tree:
        path = folder.joinpath(*parts)
        if {".", ".."} & set(parts):
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * len(parts))
        except OSError:  # a folder is in the way, or a file
            continue
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=60, deadline=None)
@given(tree=trees, partitions=st.integers(1, 5))
def test_every_file_is_listed_once_in_its_partition(tmp_path_factory, tree, partitions):
    folder = tmp_path_factory.mktemp("tree")
    expected = plant(folder / "dicom", tree) if tree else set()
    (folder / "dicom").mkdir(exist_ok=True)
    changed = refresh(folder / "dicom", folder / "out", partitions)
    assert changed == [folder / "out" / f"part={k}.tsv" for k in range(partitions)]
    found: list[str] = []
    for k in range(partitions):
        entries = read_listing(folder / "out" / f"part={k}.tsv")
        paths = [entry.path for entry in entries]
        assert paths == sorted(paths)
        assert all(partition_of(path, partitions) == k for path in paths)
        for entry in entries:
            status = (folder / "dicom" / entry.path).stat()
            assert (entry.size, entry.mtime_ns) == (status.st_size, status.st_mtime_ns)
        found += paths
    assert sorted(found) == sorted(expected)


def test_partition_is_a_published_hash():
    # printf 'a/b.dcm' | b2sum -l 64
    assert [partition_of("a/b.dcm", n) for n in (1, 7, 100_000)] == [
        int("250524822f51f304", 16) % n for n in (1, 7, 100_000)
    ]


def test_unchanged_listings_keep_their_time(tmp_path):
    dicom, out = tmp_path / "dicom", tmp_path / "out"
    plant(dicom, [[f"{i}.dcm"] for i in range(20)])
    refresh(dicom, out, 4)
    for path in out.iterdir():
        os.utime(path, ns=(5, 5))
    assert refresh(dicom, out, 4) == []
    assert {path.stat().st_mtime_ns for path in out.iterdir()} == {5}
    (dicom / "3.dcm").write_bytes(b"other content")
    (dicom / "new.dcm").touch()
    expected = {out / f"part={partition_of(name, 4)}.tsv" for name in ("3.dcm", "new.dcm")}
    assert set(refresh(dicom, out, 4)) == expected
    (dicom / "3.dcm").unlink()
    assert refresh(dicom, out, 4) == [out / f"part={partition_of('3.dcm', 4)}.tsv"]


def test_fewer_partitions_leave_no_stale_listing(tmp_path):
    plant(tmp_path / "dicom", [["a"], ["b"]])
    refresh(tmp_path / "dicom", tmp_path / "out", 5)
    refresh(tmp_path / "dicom", tmp_path / "out", 2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"part=0.tsv", "part=1.tsv"}


def test_what_killed_processes_left_is_removed(tmp_path):
    """And nothing that a process still needs, of this machine or another."""
    plant(tmp_path / "dicom", [["a"]])
    out = tmp_path / "out"
    killed = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import os, signal, sys; from pathlib import Path\n"
            "from radscale_lib.archive import listing\n"
            "listing._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "listing.refresh(Path(sys.argv[1]), Path(sys.argv[2]), 1)",
            *(tmp_path / "dicom", out),
        ]
    )
    assert killed.wait() == -signal.SIGKILL
    (left,) = out.iterdir()
    running = left.with_name(left.name.replace(f"-{killed.pid}-", f"-{os.getppid()}-"))
    elsewhere = left.with_name(left.name.replace(".refresh-", ".refresh-another-"))
    running.mkdir()
    elsewhere.mkdir()
    refresh(tmp_path / "dicom", out, 1)
    assert set(out.iterdir()) == {out / "part=0.tsv", running, elsewhere}


def test_masks_of_a_table_are_listed(tmp_path):
    out, table = tmp_path / "out", tmp_path / "tubes.csv"
    out.mkdir()
    plant(tmp_path, [["masks", "1.png"], ["2.png"]])
    table.write_text("label,mask\nett, masks/1.png \nett,2.png\nngt,\nngt,2.png\nngt,3.png\n")
    refresh_masks(table, out)
    first, missing, last = read_listing(out / "masks.tsv")
    assert first == entry_of(tmp_path, "2.png") and first.size == 1
    assert missing == Entry("3.png", NOT_A_FILE, 0)
    assert last == entry_of(tmp_path, "masks/1.png") and last.size == 2
    os.utime(out / "masks.tsv", ns=(5, 5))
    refresh_masks(table, out)
    assert (out / "masks.tsv").stat().st_mtime_ns == 5
    (tmp_path / "2.png").write_text("drawn anew")
    refresh_masks(table, out)
    assert read_listing(out / "masks.tsv")[0].size == 10
    table.write_text("label,data\n")
    refresh_masks(table, out)
    assert read_listing(out / "masks.tsv") == []
    table.unlink()
    with pytest.raises(ListingError, match=r"tubes\.csv: cannot be read"):
        refresh_masks(table, out)


def test_large_archives_are_spilled(tmp_path, monkeypatch):
    plant(tmp_path / "dicom", [[f"{i % 7}", f"{i}.dcm"] for i in range(100)])
    refresh(tmp_path / "dicom", tmp_path / "whole", 3)
    monkeypatch.setattr(listing, "_LINES_IN_MEMORY", 9)
    refresh(tmp_path / "dicom", tmp_path / "spilled", 3)
    for k in range(3):
        name = f"part={k}.tsv"
        assert (tmp_path / "spilled" / name).read_bytes() == (
            tmp_path / "whole" / name
        ).read_bytes()


def test_links_pipes_and_odd_names_are_accounted_for(tmp_path):
    dicom = tmp_path / "dicom"
    elsewhere = tmp_path / "elsewhere"
    plant(elsewhere, [["far.dcm"]])
    plant(dicom, [["sub", "near.dcm"]])
    (dicom / "sub" / "loop").symlink_to(dicom)
    (dicom / "self").symlink_to("self")
    (dicom / "dead").symlink_to("nowhere")
    (dicom / "linked").symlink_to(elsewhere)
    os.mkfifo(dicom / "pipe")
    odd = os.fsdecode(b"latin-\xe9\t\n\\n.dcm")
    (dicom / odd).write_bytes(b"1234")
    refresh(dicom, tmp_path / "out", 1)
    entries = {e.path: e.size for e in read_listing(tmp_path / "out" / "part=0.tsv")}
    assert entries == {
        "dead": NOT_A_FILE,
        odd: 4,
        "linked/far.dcm": 1,
        "pipe": NOT_A_FILE,
        "self": NOT_A_FILE,
        "sub/near.dcm": 2,
    }


def test_an_unreadable_folder_is_accounted_for(tmp_path, monkeypatch):
    plant(tmp_path, [["a", "1"], ["b", "2"]])
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "a":
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    first, second = walk(tmp_path)
    assert first == Entry("a/", NOT_A_FILE, 0)
    assert second.path == "b/2"


@contextmanager
def as_nobody():
    """Run without root's permission to read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_permissions_are_accounted_for():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        plant(folder, [["closed", "1"], ["listed", "2"], ["open", "3"], ["open", "4"]])
        for path, mode in (("closed", 0), ("listed", 0o444), ("open/3", 0)):
            (folder / path).chmod(mode)
        with as_nobody():
            entries = {entry.path: entry.size for entry in walk(folder)}
            for path in ("open/3", "closed/1", "closed"):
                with pytest.raises(PostponedError, match="read_error"):
                    read_header(folder / path)
        for path in ("closed", "listed"):
            (folder / path).chmod(0o755)
    assert entries == {
        "closed/": NOT_A_FILE,
        "listed/2": NOT_A_FILE,
        "open/3": NOT_A_FILE,
        "open/4": 2,
    }


def test_errors_name_the_remedy(tmp_path):
    with pytest.raises(ListingError, match="correct the archive's key 'dicom'"):
        refresh(tmp_path / "none", tmp_path / "out", 1)
    damaged = tmp_path / "part=0.tsv"
    for line in ("a\t1\n", "a\tx\t1\n", "a\\q\t1\t1\n"):
        damaged.write_text("ok\t1\t1\n" + line)
        with pytest.raises(ListingError, match="line 2 is damaged: run scan again"):
            read_listing(damaged)


def test_imports_nothing_but_the_standard_library():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import radscale_lib.archive.listing"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-I", "-S", "-c", code, root], check=True)


def test_listings_are_for_their_user_alone(tmp_path):
    plant(tmp_path, [["in", "1"]])
    refresh(tmp_path / "in", tmp_path / "out" / "listing", 1)
    assert (tmp_path / "out" / "listing").stat().st_mode & 0o777 == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2770)
    refresh(tmp_path / "in", tmp_path / "shared", 1)
    assert (tmp_path / "shared").stat().st_mode & 0o7777 == 0o2770
