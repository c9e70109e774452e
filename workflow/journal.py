"""The journal of a study: the jobs that the last call of snakemake started, and their ends."""

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
"""Seconds that cancelled jobs get to end; trainings write a checkpoint meanwhile."""


class StillRunningError(RuntimeError):
    """Jobs of an earlier call could not be ended."""


@dataclass
class Entry:
    """One job of the last call.

    Attributes:
        rule: its rule.
        wildcards: its wildcards.
        started: when it was submitted, seconds since the epoch.
        state: `started`, `done` or `failed`.
        tries: number of attempts.
        seconds: from start to end.
        log: its log file, relative to the study's folder.
        slurm: its state in SLURM, such as TIMEOUT, if it failed there.
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
    """The last call of snakemake, according to the journal.

    Attributes:
        entries: its jobs, in order of their start.
        slurm: name of its SLURM jobs; empty if it used none.
    """

    entries: list[Entry] = field(default_factory=list)
    slurm: str = ""

    def of(self, state: str) -> list[Entry]:
        """Jobs in one state."""
        return [entry for entry in self.entries if entry.state == state]


class Journal:
    """Appends to the journal of a call, one JSON object per line, each written in one piece."""

    def __init__(self, path: Path) -> None:
        """Begin the journal of a new call, replacing that of the last one."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def note(self, event: str, **values: Any) -> None:
        """Append an event: `slurm` (name), `start` (job, rule, …), `done` or `failed` (job).

        The log of a started job is relative to the study's folder, which can be moved.
        """
        if values.get("log"):
            values["log"] = os.path.relpath(values["log"], self.path.parent)
        line = json.dumps({"event": event, "time": time.time(), **values})
        with self.path.open("a") as file:
            file.write(line + "\n")


def read_journal(path: Path) -> Call:
    """Read what the last call did; without a journal, an empty call.

    Invalid lines, such as an incomplete last one, are left out.
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
    """A log's path relative to the study's folder; empty if outside it."""
    return "" if Path(log).is_absolute() or ".." in Path(log).parts else log


def recover(folder: Path) -> int:
    """Cancel the SLURM jobs left by a killed call, so that no two jobs write the same files.

    Finished results have their manifests, and unfinished ones are made again, so nothing is
    deleted. The caller holds the study's lock. The journal is not trusted: only this user's jobs
    whose names belong to this folder are cancelled.

    Args:
        folder: the folder of the study's results.

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
    """Prefix of the names of a study's SLURM jobs, unique to its folder."""
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
