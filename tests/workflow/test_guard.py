"""Two head processes at once; a dead holder frees the lock."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workflow import guard

HOLD = (
    "import sys, time; from pathlib import Path; from workflow import guard;"
    "guard.hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


def test_a_second_holder_is_refused_and_a_killed_one_forgotten(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(guard.AlreadyRunningError, match=str(holder.pid)):
        guard.hold(lock)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    guard.hold(lock)
