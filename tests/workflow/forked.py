"""Snakemake, forked from a process that has imported it: for the many calls that only look.

Its import takes two seconds of CPU, more than most plans. Nothing of this project is loaded before
the fork, so each call has the code of its own checkout. Studies run in processes of their own.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_CODE = """\
import json, os, runpy, sys
import smart_open, snakemake.cli
for line in sys.stdin:
    asked = json.loads(line)
    if not (child := os.fork()):
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        for stream in (1, 2):
            os.dup2(os.open(asked["said"][stream - 1], os.O_WRONLY), stream)
        sys.path[:0] = [asked["folder"], *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        sys.argv = ["snakemake", *asked["options"]]
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _parent() -> "subprocess.Popen[str]":
    """The process that forks, one for all tests of a worker; it ends with the worker."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )


def snakemake(
    folder: Path, environment: dict[str, str], *options: str | Path
) -> "subprocess.CompletedProcess[str]":
    """Run `snakemake` in a folder to its end."""
    parent = _parent()
    assert parent.stdin is not None and parent.stdout is not None
    with tempfile.NamedTemporaryFile("r") as said, tempfile.NamedTemporaryFile("r") as errors:
        asked = {
            "folder": str(folder),
            "environment": environment,
            "options": [str(option) for option in options],
            "said": [said.name, errors.name],
        }
        print(json.dumps(asked), file=parent.stdin, flush=True)
        code = int(parent.stdout.readline())
        return subprocess.CompletedProcess(asked["options"], code, said.read(), errors.read())
