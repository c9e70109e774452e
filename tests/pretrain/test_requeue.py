"""A stopped training and its place in the queue; a try that was superseded."""

from pathlib import Path

import pytest

from radscale_lib.pretrain.checkpoint import FolderOwnership, SupersededError
from radscale_lib.pretrain.requeue import requeue


@pytest.mark.parametrize(
    ("state", "again"), [("RUNNING", True), ("COMPLETING", False), ("", False)]
)
def test_only_a_running_job_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, again: bool
) -> None:
    said = tmp_path / "said"
    for name, text in (("squeue", f"echo {state}"), ("scontrol", f'echo "$@" > {said}')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert requeue() == again
    assert said.exists() == again
    if again:
        assert said.read_text() == "requeue 77\n"


def test_outside_slurm_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert not requeue()


def test_a_newer_try_takes_over(tmp_path: Path) -> None:
    lost = FolderOwnership(tmp_path)
    lost.check()
    newer = FolderOwnership(tmp_path)
    newer.check()
    with pytest.raises(SupersededError, match="a newer attempt"):
        lost.check()
