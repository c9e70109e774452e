"""The journal of a study: what the last call of snakemake started, and what it has seen end."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "journal.jsonl"
ENDING_SECONDS = 300
"""Time that cancelled jobs get to end; trainings write a checkpoint meanwhile."""


class StillRunningError(RuntimeError):
    """Jobs of an earlier call could not be ended."""


@dataclass
class Entry:
    """One job of the last call.

    Attributes:
        rule: its rule.
        wildcards: its wildcards.
        started: when it was handed out, seconds since the epoch.
        state: `started`, `done` or `failed`.
        tries: how often it was started.
        seconds: from start to end.
        log: its log file, relative to the study's folder.
        slurm: the state that SLURM gave it, if it failed there, such as TIMEOUT.
    """

    rule: str
    wildcards: Mapping[str, str]
    started: float
    state: str = "started"
    tries: int = 1
    seconds: float = 0.0
    log: str = ""
    slurm: str = ""


@dataclass
class Call:
    """What the journal says of the last call of snakemake.

    Attributes:
        entries: its jobs, in the order of their start.
        slurm: name of its SLURM jobs; empty if it used none.
    """

    entries: list[Entry] = field(default_factory=list)
    slurm: str = ""

    def of(self, state: str) -> list[Entry]:
        """Jobs in one state."""
        return [entry for entry in self.entries if entry.state == state]


class Journal:
    """Appends to the journal of a call, one JSON object a line, each written at once."""

    def __init__(self, path: Path) -> None:
        """Begin the journal of a new call; the last call's is dropped."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def note(self, event: str, **values: Any) -> None:
        """Append an event: `slurm` (name), `start` (job, rule, …), `done` or `failed` (job).

        The log of a start is written relative to the study's folder, which can be moved.
        """
        if values.get("log"):
            values["log"] = os.path.relpath(values["log"], self.path.parent)
        line = json.dumps({"event": event, "time": time.time(), **values})
        with self.path.open("a") as file:
            file.write(line + "\n")


def read_journal(path: Path) -> Call:
    """What the last call did; an empty call without a journal.

    Lines that no call of this workflow writes, as a torn last one, are left out.
    """
    call, by_job = Call(), dict[int, Entry]()
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            _read_event(json.loads(line), call, by_job)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return call


def _read_event(values: dict[str, Any], call: Call, by_job: dict[int, Entry]) -> None:
    match values["event"]:
        case "slurm":
            call.slurm = str(values["name"])
        case "start":
            known = by_job.get(values["job"])
            entry = Entry(
                rule=str(values["rule"]),
                wildcards={str(key): str(value) for key, value in values["wildcards"].items()},
                started=float(values["time"]),
                tries=known.tries + 1 if known else 1,
                log=_inside(str(values["log"])),
            )
            if known:
                call.entries.remove(known)
            by_job[values["job"]] = entry
            call.entries.append(entry)
        case "done" | "failed" as state if values["job"] in by_job:
            entry = by_job[values["job"]]
            entry.state, entry.seconds = state, float(values["time"]) - entry.started
            entry.slurm = str(values.get("slurm", ""))


def _inside(log: str) -> str:
    """A log's path relative to the study's folder; empty for one outside it."""
    return "" if Path(log).is_absolute() or ".." in Path(log).parts else log


def recover(folder: Path) -> int:
    """Cancel the SLURM jobs that a killed call left, lest two jobs write the same files.

    What they had finished has its manifest, and what they had not is made again: nothing is
    deleted. The caller holds the study's lock. The journal is not trusted: only jobs of this user
    are cancelled whose name says that they are of this folder.

    Args:
        folder: of the study's results.

    Returns:
        Number of jobs cancelled.

    Raises:
        StillRunningError: if jobs do not end.
    """
    path = folder / NAME
    call = read_journal(path)
    ours = re.fullmatch(rf"([\w-]+_)?{job_name(folder)}_[0-9a-f-]+", call.slurm)
    cancelled = _cancel(call.slurm) if ours else 0
    path.unlink(missing_ok=True)
    return cancelled


def job_name(folder: Path) -> str:
    """What the names of a study's SLURM jobs begin with: each folder has its own."""
    path = os.fsencode(folder.resolve())
    return "radscale-" + hashlib.sha256(path).hexdigest()[:12]


def _cancel(name: str) -> int:
    if shutil.which("squeue") is None:
        return 0
    jobs = _active(name)
    if jobs:
        subprocess.run(["scancel", *jobs], check=False, capture_output=True)
    end = time.monotonic() + ENDING_SECONDS
    while left := _active(name):
        if time.monotonic() > end:
            raise StillRunningError(
                f"SLURM jobs {', '.join(left)} of an earlier call did not end: cancel them with "
                "scancel, or start again later"
            )
        time.sleep(2)
    return len(jobs)


def _active(name: str) -> list[str]:
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%A", "--name", name],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise StillRunningError(
            f"squeue does not respond ({listed.stderr.strip()}), and jobs of an earlier call may "
            "still be running: start again when it responds"
        )
    return sorted(set(listed.stdout.split()))
