"""The journal: what a call started and saw end; what a killed one left."""

from pathlib import Path

import pytest

from workflow.journal import NAME, Journal, read_journal, recover


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
    assert recover(tmp_path) == (0, 1)
    assert recorded.exists() and not unrecorded.exists() and not folder.exists()
    assert recover(tmp_path) == (0, 0)


def test_jobs_that_do_not_answer_stop_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflow.journal import StillRunningError

    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    Journal(tmp_path / NAME).note("slurm", name="run")
    with pytest.raises(StillRunningError, match="Unable to contact"):
        recover(tmp_path)
