"""The status of a study: runs expected, done, running and failed, and what is left."""

import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radscale_lib.files import read_json
from radscale_lib.study.model import NO_ENCODER, Run, Study
from workflow import guard
from workflow.jobs import makes_encoder, run_of
from workflow.journal import NAME, Entry, read_journal
from workflow.plan import Job, totals
from workflow.progress import duration

STATES = ("done", "running", "failed", "waiting")
_STEP = re.compile(r"step (\d+)/(\d+)")


@dataclass(frozen=True)
class RunStatus:
    """One run of the study.

    Attributes:
        run: arm, size and seed.
        state: one of `STATES`.
        note: progress of a running one; reason of a failed one.
    """

    run: Run
    state: str
    note: str = ""


@dataclass(frozen=True)
class Status:
    """The study at one moment.

    Attributes:
        runs: every run that the study asks for.
        failed: jobs that failed in the last call and are not done yet, with the reason.
        process: process that runs the study, and its host; empty if there is none.
        left: totals of what is left, as in the plan; for running trainings, the remaining part.
    """

    runs: list[RunStatus]
    failed: list[tuple[str, str]]
    process: str
    left: dict[str, float]


def status(study: Study, jobs: Iterable[Job]) -> Status:
    """Determine the status from a study's results, its journal, and the jobs of a dry run."""
    call = read_journal(study.folder / NAME)
    process = guard.holder(study.folder / ".running")
    logs = {_key(entry): last_line(study.folder / entry.log) for entry in call.of("started")}
    jobs = [_unfinished(job, logs.get(_key(job), "")) for job in jobs]
    left = set(map(_key, jobs))
    failed = [
        (" ".join([entry.rule, *entry.wildcards.values()]), _reason(study, entry))
        for entry in call.of("failed")
        if _key(entry) in left
    ]
    trained = {run_of(job.wildcards) for job in jobs if makes_encoder(job.rule)}
    active = {run_of(entry.wildcards): entry for entry in call.entries if makes_encoder(entry.rule)}
    if not process:
        active = {run: entry for run, entry in active.items() if entry.state != "started"}
    runs = [_run_status(study, run, active.get(run), run in trained) for run in study.runs]
    return Status(runs, failed, process, totals(study, jobs))


def _run_status(study: Study, run: Run, entry: Entry | None, to_do: bool) -> RunStatus:
    if entry and entry.state == "started":
        return RunStatus(run, "running", last_line(study.folder / entry.log))
    if entry and entry.state == "failed" and to_do:
        return RunStatus(run, "failed", _reason(study, entry))
    card = study.folder / "encoders" / run.path / "encoder.json"
    if to_do or not card.exists():
        return RunStatus(run, "waiting")
    values = read_json(card)
    if values["status"] in NO_ENCODER:
        return RunStatus(run, "failed", values["reason"])
    return RunStatus(run, "done")


def _key(job: Job | Entry) -> tuple[object, ...]:
    return job.rule, *sorted(job.wildcards.items())


def _unfinished(job: Job, progress: str) -> Job:
    """The share of a job that is left, by the last line of its log if it is training."""
    steps = _STEP.match(progress)
    if steps is None:
        return job
    rest = 1 - int(steps[1]) / int(steps[2])
    return replace(job, cost=replace(job.cost, seconds=job.cost.seconds * rest))


def _reason(study: Study, entry: Entry) -> str:
    """Why a job failed: its state in SLURM, and the last line of its log."""
    return (
        ": ".join(filter(None, [entry.slurm, last_line(study.folder / entry.log)])) or "no message"
    )


def last_line(log: Path) -> str:
    """The last non-empty line of a log; empty without a log."""
    if not log.is_file():
        return ""
    lines = log.read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def render(study: Study, now: Status) -> str:
    """The status as a table for the terminal."""
    head = f"{'arm':<24}{'runs':>6}" + "".join(f"{state:>9}" for state in STATES)
    lines = [
        f"Study {study.name!r}, {time.strftime('%Y-%m-%d %H:%M')}: "
        + (f"process {now.process} is running it" if now.process else "no process is running it"),
        head,
        "-" * len(head),
    ]
    for arm in [*dict.fromkeys(run.run.arm for run in now.runs), "all"]:
        of = Counter(run.state for run in now.runs if arm in (run.run.arm, "all"))
        lines.append(f"{arm:<24}{of.total():>6}" + "".join(f"{of[state]:>9}" for state in STATES))
    for state in ("running", "failed"):
        found = [run for run in now.runs if run.state == state]
        lines += ["", f"{state}:"] if found else []
        lines += [f"  {run.run.path}  {run.note}" for run in found]
    if now.failed:
        lines += ["", "failed jobs of the last call:"]
        lines += [f"  {label}  {reason}" for label, reason in now.failed]
    left = now.left
    told = (
        f"left: {left['jobs']:.0f} jobs, {left['gpu_hours']:.3g} GPU-hours, "
        f"{left['core_hours']:.3g} core-hours, at least {duration(left['at_least_seconds'])}"
    )
    return "\n".join([*lines, "", told if left["jobs"] else "nothing is left to do"])


def as_json(study: Study, now: Status) -> dict[str, Any]:
    """The status as plain values."""
    counts = Counter(run.state for run in now.runs)
    return {
        "study": study.name,
        "process": now.process or None,
        "runs": {"expected": len(now.runs)} | {state: counts[state] for state in STATES},
        "each": [run.run._asdict() | {"state": run.state, "note": run.note} for run in now.runs],
        "failed_jobs": [{"job": label, "reason": reason} for label, reason in now.failed],
        "left": now.left,
    }
