"""The test cluster's own housekeeping."""

import fcntl
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import MARK, OWNER, end_orphans


@pytest.mark.parametrize("owned", [True, False])
def test_only_what_a_killed_test_run_left_is_ended(tmp_path: Path, owned: bool) -> None:
    (tmp_path / OWNER).touch()
    process = subprocess.Popen(["sleep", "60"], env=os.environ | {MARK: str(tmp_path)})
    try:
        with (tmp_path / OWNER).open("w") as owner:
            if owned:
                fcntl.flock(owner, fcntl.LOCK_EX)
            end_orphans()
        if owned:
            assert process.poll() is None
        else:
            assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
