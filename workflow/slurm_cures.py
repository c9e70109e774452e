"""Cures for snakemake-executor-plugin-slurm 2.8: states it waits for without end, slow polling.

Each cure names what it cures; tests/slurm shows each on a real cluster. When upstream mends one,
delete it here and keep its test. The plugin's version is pinned: another one gets no cures.
"""

import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

PLUGIN = "snakemake-executor-plugin-slurm"
CURED = "2.8."
"""Versions that need the cures and were tested with them."""
LONGEST_PAUSE = 60
"""Seconds between polls, at most; the plugin's pauses grow to 180."""

States = dict[str, str]
Query = Callable[[str, Any], Awaitable[tuple[States | None, float | None]]]

# The plugin takes these for passing states. They are, while SLURM requeues the job.
_PASSING = {"PREEMPTED", "NODE_FAIL"}
_ACTIVE = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED"}
_JOB = re.compile(r"\d+(_\d+)?")


class CuredQuery:
    """Asks SLURM for the states of all jobs as the plugin does, and mends the answer."""

    def __init__(self, query: Query) -> None:
        """Wrap the plugin's `query_job_status`."""
        self._query = query
        self._last: States = {}

    async def __call__(self, command: str, logger: Any) -> tuple[States, float]:
        """States by job id, and the seconds the query took."""
        states, seconds = await self._query(command, logger)
        if states is None:
            # The plugin forgets all its jobs if the query fails five times. No news is no change.
            return {}, seconds or 0.0
        # sacct says "CANCELLED by 1000", which the plugin does not know as an end.
        states = {job: state.split()[0] if state else "" for job, state in states.items()}
        cured = dict(states)
        for job, state in states.items():
            # Seen in two polls, it is no passing state: the job was not requeued.
            if state in _PASSING and self._last.get(job) == state:
                cured[job] = "CANCELLED"
        for job, state in self._last.items():
            # SLURM forgets ended jobs after MinJobAge: one may go between two polls.
            if job not in states and state in _ACTIVE and _JOB.fullmatch(job):
                cured[job] = "CANCELLED"
        self._last = states
        return cured, seconds or 0.0


def apply() -> None:
    """Cure the plugin in this process, if its version is one the cures are for."""
    if not version(PLUGIN).startswith(CURED):
        return
    import snakemake_executor_plugin_slurm as plugin

    if isinstance(plugin.query_job_status, CuredQuery):
        return
    plugin.query_job_status = CuredQuery(plugin.query_job_status)
    pause = plugin.Executor.next_seconds_between_status_checks
    plugin.Executor.next_seconds_between_status_checks = property(
        lambda executor: min(pause.fget(executor), LONGEST_PAUSE), pause.fset
    )
