"""The progress of a running study: what is done, what runs, and approximate time left."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from workflow.journal import Journal

expected_seconds: dict[str, float] = {}
"""Expected seconds of a job by rule, until one has been timed in this run.

The Snakefile fills it when jobs start; the logger plugin reads it in the same process."""

following: dict[int, list[tuple[int, str]]] = {}
"""Number and rule of the jobs that wait for each job of this call; filled and read likewise."""

journals: list[Journal] = []
"""The journal of this call, once jobs start: the Snakefile opens it, the logger plugin writes."""


def begin(path: Path) -> None:
    """Open the journal of this call."""
    journals[:] = [Journal(path)]


@dataclass
class Progress:
    """Jobs of one call of the workflow, by rule.

    Attributes:
        expected: seconds of a job by rule, used until jobs of the rule have been timed.
        following: number and rule of the jobs that wait for each job.
        total: jobs of the run by rule.
        failed: rule of each job whose last attempt failed.
    """

    expected: Mapping[str, float]
    following: Mapping[int, Iterable[tuple[int, str]]] = field(default_factory=dict)
    total: Counter[str] = field(default_factory=Counter)
    running: dict[int, tuple[str, str, float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    widest: int = 1

    def start(self, job: int, rule: str, label: str, now: float) -> None:
        """Record that a job has started; `now` in seconds of any monotonic clock."""
        self.failed.pop(job, None)
        self.running[job] = (rule, label, now)
        self.widest = max(self.widest, len(self.running))

    def finish(self, job: int, now: float) -> tuple[str, float] | None:
        """Record that a job has ended; return its label and seconds, None if it never started."""
        if job not in self.running:
            return None
        rule, label, began = self.running.pop(job)
        self.seconds.setdefault(rule, []).append(now - began)
        return label, now - began

    def fail(self, job: int) -> None:
        """Record that a job has failed; it may be started again."""
        if job in self.running:
            self.failed[job], _, _ = self.running.pop(job)

    def lost(self) -> Counter[str]:
        """Jobs that will not finish, by rule: those that failed, and all that wait for them."""
        lost, pending = dict(self.failed), list(self.failed)
        while pending:
            for job, rule in self.following.get(pending.pop(), ()):
                if job not in lost:
                    lost[job] = rule
                    pending.append(job)
        return Counter(lost.values())

    def seconds_of(self, rule: str) -> float:
        """Seconds of a job of this rule: measured in this run, or else expected."""
        if rule in self.seconds:
            return fmean(self.seconds[rule])
        return self.expected.get(rule, 1.0)

    def seconds_left(self, now: float) -> float:
        """Remaining work divided by the highest parallelism seen, at least the longest job's."""
        rests = [
            max(self.seconds_of(rule) - (now - began), 1.0)
            for rule, _, began in self.running.values()
        ]
        active = Counter(rule for rule, _, _ in self.running.values())
        lost = self.lost()
        waiting = sum(
            max(count - len(self.seconds.get(rule, [])) - active[rule] - lost[rule], 0)
            * self.seconds_of(rule)
            for rule, count in self.total.items()
        )
        return max((waiting + sum(rests)) / self.widest, *rests, 0.0)

    def line(self, now: float) -> str:
        """One line for the terminal."""
        done = sum(map(len, self.seconds.values()))
        total = max(self.total.total(), done + len(self.running))
        names = ", ".join(label for _, label, _ in list(self.running.values())[:3])
        more = f" and {len(self.running) - 3} more" if len(self.running) > 3 else ""
        now_running = f" · running {names}{more}" if names else ""
        stopped = self.lost().total() - len(self.failed)
        failed = f" · {len(self.failed)} failed" if self.failed else ""
        failed += f", {stopped} cannot run" if stopped else ""
        left = duration(self.seconds_left(now))
        return f"{done} of {total} jobs{failed} · about {left} left{now_running}"


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
