"""Patches for snakemake-executor-plugin-slurm 2.8: states it waits for forever, slow polling.

Each patch names the fault it fixes; tests/slurm shows each on a real cluster. When upstream fixes
one, delete the patch here and keep its test. Only the pinned version of the plugin is patched.
"""

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

PLUGIN = "snakemake-executor-plugin-slurm"
PATCHED = "2.8.0"
"""The version that needs the patches and was tested with them."""
GROWTH = 1.5
"""Pauses between polls grow to this multiple of the first: from 40 s to 60 s (the plugin's: 180
s)."""

States = dict[str, str]
Query = Callable[[str, Any], Awaitable[tuple[States | None, float | None]]]

# The plugin treats these states as temporary. They are, while SLURM requeues the job.
_PASSING = {"PREEMPTED", "NODE_FAIL"}
_ACTIVE = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED"}
_JOB = re.compile(r"\d+(_\d+)?")


class PatchedQuery:
    """Queries SLURM for the states of all jobs like the plugin, and corrects the answer."""

    def __init__(self, query: Query) -> None:
        """Wrap the plugin's `query_job_status`."""
        self._query = query
        self._last: States = {}

    async def __call__(self, command: str, logger: Any) -> tuple[States, float]:
        """States by job id, and the seconds the query took."""
        states, seconds = await self._query(command, logger)
        if states is None:
            # The plugin forgets all its jobs if the query fails five times. No news is not a
            # change.
            return {}, seconds or 0.0
        # sacct says "CANCELLED by 1000", which the plugin does not know as an end.
        states = {job: state.split()[0] if state else "" for job, state in states.items()}
        patched = dict(states)
        for job, state in states.items():
            # Seen in two polls, the state is permanent: the job was not requeued.
            if state in _PASSING and self._last.get(job) == state:
                patched[job] = "CANCELLED"
        for job, state in self._last.items():
            # SLURM forgets ended jobs after MinJobAge: one may disappear between two polls.
            if job not in states and state in _ACTIVE and _JOB.fullmatch(job):
                patched[job] = "CANCELLED"
        self._last = states
        return patched, seconds or 0.0


def apply() -> None:
    """Patch the plugin in this process; warn if the patches are for another version."""
    if (found := version(PLUGIN)) != PATCHED:
        print(
            f"warning: {PLUGIN} {found} is installed and runs unpatched: its faults are patched "
            f"in {PATCHED} only. Install {PLUGIN}=={PATCHED}, or see docs/hospital/slurm.md for "
            "what may then wait forever",
            file=sys.stderr,
        )
        return
    import snakemake_executor_plugin_slurm as plugin

    if isinstance(plugin.query_job_status, PatchedQuery):
        return
    plugin.query_job_status = PatchedQuery(plugin.query_job_status)
    plugin.Executor.next_seconds_between_status_checks = _bounded(
        plugin.Executor.next_seconds_between_status_checks
    )
    plugin.Executor.sleep = _sleep


async def _sleep(executor: Any) -> None:
    """Pause between polls; the plugin always sleeps in full, even with nothing left to wait for."""
    end = time.monotonic() + executor.next_seconds_between_status_checks
    while executor.wait and time.monotonic() < end:
        await asyncio.sleep(0.5)


def _bounded(pause: property) -> property:
    """The plugin's pause between polls, growing at most by `GROWTH`."""
    assert pause.fget is not None
    of = pause.fget

    def bounded(executor: Any) -> float:
        settings = executor.workflow.executor_settings
        longest: float = GROWTH * settings.init_seconds_before_status_checks
        return min(float(of(executor)), longest)

    return property(bounded, pause.fset)
