"""Starting a run's processes: the command lines, and a real start of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from radscale_lib.pretrain import launch
from radscale_lib.pretrain.launch import LaunchError

ROOT = Path(__file__).parents[2]


class BecameError(Exception):
    """Instead of replacing this process."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the process was to become."""
    command: list[str] = []

    def become(*values: str) -> None:
        command[:] = values
        raise BecameError

    monkeypatch.setattr(launch, "_become", become)
    monkeypatch.setattr(launch.signal, "signal", lambda *_: None)
    return command


def test_one_process_is_the_script_itself(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; print(sys.argv[1:])")
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts/launch.py", "--devices", "1", script, "--out", "x"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert ended.stdout == "['--out', 'x']\n"


def test_one_node_is_torchrun(became: list[str]) -> None:
    with pytest.raises(BecameError):
        launch.launch(4, 1, 8, True, ["script.py", "--out", "x"])
    assert became[1:] == (
        [
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            "4",
            "--standalone",
            "script.py",
            "--out",
            "x",
        ]
    )


def test_two_nodes_are_srun_once_a_node(became: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(LaunchError, match="16 processes on 2 nodes need a SLURM job"):
        launch.launch(16, 2, 8, True, ["script.py"])
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(BecameError):
        launch.launch(16, 2, 8, True, ["script.py"])
    assert became[:6] == [
        *("srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=8"),
        "--kill-on-bad-exit=1",
    ]
    assert became[6] == "--gres=gpu:8" and became[-2:] == ["8", "script.py"]


def test_a_node_joins_the_others(became: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("JOB_ID", "45001"), ("NNODES", "2"), ("NODEID", "1")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[1-2]")
    monkeypatch.setattr(launch, "_first_node", lambda nodes: f"first of {nodes}")
    with pytest.raises(BecameError):
        launch.join_nodes("2", ["script.py"])
    options = dict(zip(became[3:-1:2], became[4:-1:2], strict=False))
    assert options == {
        "--nproc-per-node": "2",
        "--nnodes": "2",
        "--node-rank": "1",
        "--master-addr": "first of node[1-2]",
        "--master-port": "25001",
    }
