"""The journal of a study: what the head process started, and what it has seen end.

Jobs on a cluster outlive a head that is killed. Snakemake then takes what they leave for done, but
knows no more by which code and settings it was made. The journal tells which these are.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
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
        outputs: the files it makes, relative to the study's folder.
        started: when it was handed out, seconds since the epoch.
        state: `started`, `done` or `failed`.
        tries: how often it was started.
        seconds: from start to end.
        log: its log file, relative to the study's folder.
        slurm: the state that SLURM gave it, if it failed there, such as TIMEOUT.
    """

    rule: str
    wildcards: Mapping[str, str]
    outputs: Sequence[str]
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

        Outputs and log of a start are written relative to the study's folder, so that the folder
        can be moved, and a copy's journal means the copy.
        """
        if event == "start":
            values["outputs"] = [self._relative(name) for name in values["outputs"]]
            values["log"] = values["log"] and self._relative(values["log"])
        line = json.dumps({"event": event, "time": time.time(), **values})
        with self.path.open("a") as file:
            file.write(line + "\n")

    def _relative(self, name: str) -> str:
        return os.path.relpath(name, self.path.parent)


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
                outputs=[str(name) for name in values["outputs"]],
                started=float(values["time"]),
                tries=known.tries + 1 if known else 1,
                log=str(values["log"]),
            )
            if known:
                call.entries.remove(known)
            by_job[values["job"]] = entry
            call.entries.append(entry)
        case "done" | "failed" as state if values["job"] in by_job:
            entry = by_job[values["job"]]
            entry.state, entry.seconds = state, float(values["time"]) - entry.started
            entry.slurm = str(values.get("slurm", ""))


def recover(folder: Path, makes: Callable[[str, Path], bool]) -> tuple[int, int]:
    """Bring to an end what a killed call left: end its jobs, and drop outputs nobody recorded.

    The caller holds the study's lock. The journal is not trusted: only files are deleted that lie
    in the study's folder and that the rule it names makes, and only jobs cancelled that bear the
    folder's name.

    Args:
        folder: of the study's results.
        makes: whether a rule of the study makes a file.

    Returns:
        Number of SLURM jobs cancelled, and of jobs whose outputs were dropped.

    Raises:
        StillRunningError: if jobs do not end.
    """
    path = folder / NAME
    call = read_journal(path)
    ours = re.fullmatch(rf"([\w-]+_)?{job_name(folder)}_[0-9a-f-]+", call.slurm)
    cancelled = _cancel(call.slurm) if ours else 0
    dropped = 0
    for entry in call.of("started"):
        outputs = [folder / name for name in entry.outputs if _inside(folder, name)]
        existing = [file for file in outputs if makes(entry.rule, file) and os.path.lexists(file)]
        for file in existing:
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
        dropped += bool(existing)
    path.unlink(missing_ok=True)
    return cancelled, dropped


def job_name(folder: Path) -> str:
    """What the names of a study's SLURM jobs begin with: it tells its folder from all others."""
    path = os.fsencode(folder.resolve())
    return "radscale-" + hashlib.sha256(path).hexdigest()[:12]


def _inside(folder: Path, name: str) -> bool:
    """Whether a name leads to a file inside the folder, also through its symbolic links."""
    if "\0" in name or ".." in Path(name).parts:
        return False
    return (folder / name).parent.resolve().is_relative_to(folder.resolve())


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
                f"SLURM jobs {', '.join(left)} of an earlier call do not end: cancel them by "
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
            f"squeue does not answer ({listed.stderr.strip()}), and jobs of an earlier call may "
            "still run: start again when it does"
        )
    return sorted(set(listed.stdout.split()))
