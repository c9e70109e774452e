"""The journal: what a call started and saw end; what a killed one left."""

import json
from pathlib import Path

import pytest

from workflow.journal import NAME, Journal, StillRunningError, job_name, read_journal, recover


def start(journal: Journal, job: int) -> None:
    journal.note("start", job=job, rule="r", wildcards={"n": str(job)}, log="")


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


def test_nothing_outside_of_the_studys_folder_is_read_or_deleted(tmp_path: Path) -> None:
    """Whatever a prepared or copied journal names."""
    study, foreign = tmp_path / "study", tmp_path / "foreign"
    study.mkdir()
    foreign.mkdir()
    for path in (study / "own", foreign / "precious"):
        path.write_text("kept")
    names = [str(foreign / "precious"), "../foreign/precious", "own", "", "a\0b"]
    common = {"event": "start", "rule": "r", "time": 0, "wildcards": {}}
    lines = [
        common | {"job": number, "outputs": names, "log": name}
        for number, name in enumerate([*names, 5])
    ]
    (study / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines) + "[1]\n{}\n")
    logs = {entry.log for entry in read_journal(study / NAME).entries}
    assert logs == {"own", "", "a\0b", "5"}
    recover(study)
    assert (study / "own").read_text() == (foreign / "precious").read_text() == "kept"


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
        assert recover(study) == 0
    assert (slurm / "calls").read_text() == ""
    for name in (own, f"lab-7_{own}"):
        (slurm / "ended").unlink(missing_ok=True)
        Journal(study / NAME).note("slurm", name=name)
        assert recover(study) == 1
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
        recover(tmp_path)
