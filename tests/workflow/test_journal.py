"""The journal: what a call started and saw end; what a killed one left."""

import json
import shutil
from pathlib import Path

import pytest

from workflow.journal import NAME, Journal, StillRunningError, job_name, read_journal, recover


def start(journal: Journal, job: int, *outputs: Path) -> None:
    paths = [str(path) for path in outputs]
    journal.note("start", job=job, rule="r", wildcards={"n": str(job)}, outputs=paths, log="")


def test_what_was_started_and_how_it_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / NAME)
    for job in (1, 2, 3):
        start(journal, job)
    journal.note("done", job=1)
    journal.note("failed", job=2)
    start(journal, 2)
    call = read_journal(tmp_path / NAME)
    assert [(e.wildcards["n"], e.state, e.tries) for e in call.entries] == [
        ("1", "done", 1),
        ("3", "started", 1),
        ("2", "started", 2),
    ]


def test_a_torn_line_and_no_journal(tmp_path: Path) -> None:
    assert read_journal(tmp_path / NAME).entries == []
    journal = Journal(tmp_path / NAME)
    start(journal, 1)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "do')
    assert len(read_journal(tmp_path / NAME).entries) == 1


def makes_all(rule: str, path: Path) -> bool:
    return rule == "r"


def test_outputs_of_unrecorded_jobs_are_dropped(tmp_path: Path) -> None:
    recorded, unrecorded, folder = (tmp_path / name for name in ("a", "b", "c"))
    recorded.touch()
    unrecorded.touch()
    folder.mkdir()
    journal = Journal(tmp_path / NAME)
    start(journal, 1, recorded)
    start(journal, 2, unrecorded, folder)
    start(journal, 3, tmp_path / "never made")
    journal.note("done", job=1)
    assert recover(tmp_path, makes_all) == (0, 1)
    assert recorded.exists() and not unrecorded.exists() and not folder.exists()
    assert recover(tmp_path, makes_all) == (0, 0)


def test_a_copied_studys_journal_means_the_copy(tmp_path: Path) -> None:
    """Of one killed while it ran: the copy drops its own file, and the original's stays."""
    original, copied = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    (original / "a").touch()
    start(Journal(original / NAME), 1, original / "a")
    shutil.copytree(original, copied)
    assert recover(copied, makes_all) == (0, 1)
    assert (original / "a").exists() and not (copied / "a").exists()


def test_a_prepared_journal_deletes_nothing_else(tmp_path: Path) -> None:
    study, foreign = tmp_path / "study", tmp_path / "foreign"
    for folder in (study, foreign, study / "inside"):
        folder.mkdir()
    (study / "link").symlink_to(foreign)
    (study / "linked.txt").symlink_to(foreign / "precious")
    kept = [foreign / "precious", study / "not an output", study / "inside" / "x"]
    for path in kept:
        path.write_text("kept")
    names = (str(foreign), str(foreign / "precious"), "../foreign/precious", "link/precious")
    more = ("inside/../../foreign/precious", ".", "", "a\0b", "not an output", "linked.txt")
    lines = [
        {
            "event": "start",
            "job": n,
            "rule": "r",
            "time": 0,
            "wildcards": {},
            "log": "",
            "outputs": o,
        }
        for n, o in enumerate(([*names, *more], 5, [None], "inside/x"))
    ]
    (study / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines) + "[1]\n{}\n")
    recover(study, lambda rule, path: path.name not in ("not an output", "x", "study"))
    assert all(path.read_text() == "kept" for path in kept)
    assert (study / "link").is_symlink()


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a squeue that knows of one job until scancel has been called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "squeue": f'echo "squeue $*" >> {folder}/calls; [ -e {folder}/ended ] || echo 7',
        "scancel": f'echo "scancel $*" >> {folder}/calls; touch {folder}/ended',
        "touch": "exec /usr/bin/touch $*",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "calls").touch()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_jobs_of_this_folder_are_cancelled_and_no_others(tmp_path: Path, slurm: Path) -> None:
    study, other = tmp_path / "study", tmp_path / "other"
    run = "2f1b9c7e-0000-4000-8000-000000000000"
    own, foreign = f"{job_name(study)}_{run}", f"{job_name(other)}_{run}"
    for name in (run, foreign, f"{own},{run}", f"{own} --all", ""):
        Journal(study / NAME).note("slurm", name=name)
        assert recover(study, makes_all) == (0, 0)
    assert (slurm / "calls").read_text() == ""
    for name in (own, f"lab-7_{own}"):
        (slurm / "ended").unlink(missing_ok=True)
        Journal(study / NAME).note("slurm", name=name)
        assert recover(study, makes_all) == (1, 0)
    calls = (slurm / "calls").read_text()
    assert "scancel 7" in calls and f"--me --noheader --format=%A --name {own}" in calls


def test_jobs_that_do_not_answer_stop_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    Journal(tmp_path / NAME).note("slurm", name=f"{job_name(tmp_path)}_0a")
    with pytest.raises(StillRunningError, match="Unable to contact"):
        recover(tmp_path, makes_all)
