"""The journal of a study: what the head process started, and what it has seen end.

Jobs on a cluster outlive a head that is killed. Snakemake then takes what they leave for done, but
knows no more by which code and settings it was made. The journal tells which these are.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
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
        outputs: the files it makes.
        started: when it was handed out, seconds since the epoch.
        state: `started`, `done` or `failed`.
        tries: how often it was started.
        seconds: from start to end.
        log: its log file.
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
        """Append an event: `slurm` (name), `start` (job, rule, …), `done` or `failed` (job)."""
        line = json.dumps({"event": event, "time": time.time(), **values})
        with self.path.open("a") as file:
            file.write(line + "\n")


def read_journal(path: Path) -> Call:
    """What the last call did; an empty call without a journal. A torn last line is left out."""
    call, by_job = Call(), dict[int, Entry]()
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        match values["event"]:
            case "slurm":
                call.slurm = values["name"]
            case "start":
                known = by_job.get(values["job"])
                tries = known.tries + 1 if known else 1
                if known:
                    call.entries.remove(known)
                names = ("rule", "wildcards", "outputs", "log")
                entry = Entry(
                    started=values["time"], tries=tries, **{name: values[name] for name in names}
                )
                by_job[values["job"]] = entry
                call.entries.append(entry)
            case "done" | "failed" as state if values["job"] in by_job:
                entry = by_job[values["job"]]
                entry.state, entry.seconds = state, values["time"] - entry.started
                entry.slurm = values.get("slurm", "")
    return call


def recover(folder: Path) -> tuple[int, int]:
    """Settle what a killed head left: end its jobs, and drop outputs nobody recorded.

    The caller makes sure that no other head is alive.

    Args:
        folder: of the study's results.

    Returns:
        Number of SLURM jobs cancelled, and of jobs whose outputs were dropped.

    Raises:
        StillRunningError: if jobs do not end.
    """
    path = folder / NAME
    call = read_journal(path)
    cancelled = _cancel(call.slurm) if call.slurm else 0
    dropped = 0
    for entry in call.of("started"):
        existing = [file for name in entry.outputs if (file := Path(name)).exists()]
        for file in existing:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        dropped += bool(existing)
    path.unlink(missing_ok=True)
    return cancelled, dropped


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
        ["squeue", "--noheader", "--format=%A", "--name", name],
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
