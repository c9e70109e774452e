"""What a call of snakemake does: it looks, or it changes something under the study's lock.

Snakemake reads the Snakefile in the same way whatever it is asked for. Which method of its workflow
it calls next says what the call does: the few that change something are named here, and all others
(`--summary`, `--lint`, `--dag`, `--report`, …) only look.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from workflow import guard, slurm_cures
from workflow.journal import job_name

READ_ONLY_TARGETS = ("plan", "status", "check", "verify")
"""Targets that only look: they need no lock, and run beside a call that runs the study."""

CHANGES = (
    "cleanup_metadata",
    "cleanup_shadow",
    "conda_cleanup_envs",
    "conda_create_envs",
    "container_cleanup_images",
    "unlock",
)
"""Methods of Snakemake's workflow, besides running jobs and deleting, that change something."""


class Call:
    """This call of snakemake."""

    def __init__(self, workflow: Any, lock: Path) -> None:
        """Wait for what Snakemake does next.

        Args:
            workflow: Snakemake's, of the main process.
            lock: the study's lock file.
        """
        self._workflow = workflow
        self._lock = lock
        self.runs = False
        """Whether this call runs jobs (or marks them as run) and holds the study's lock."""

    def on(self, *, run: Callable[[bool], None], look: Callable[[], None]) -> None:
        """Say what is to be done once it is known what this call does, before the DAG is built.

        Args:
            run: called under the lock if jobs are to run; is given whether they are only touched.
            look: called if the call only looks at the jobs, as a dry run and `plan` do.
        """
        for name in CHANGES:
            setattr(self._workflow, name, self._locked(getattr(self._workflow, name)))
        self._workflow.delete_output = self._deletion(self._workflow.delete_output)
        self._workflow.execute = self._execution(self._workflow.execute, run, look)

    def _locked(self, change: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(change)
        def locked(*args: Any, **options: Any) -> Any:
            guard.hold(self._lock)
            return change(*args, **options)

        return locked

    def _deletion(self, delete: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(delete)
        def deletion(only_temp: bool = False, dryrun: bool = False) -> Any:
            if not dryrun:
                guard.hold(self._lock)
            return delete(only_temp=only_temp, dryrun=dryrun)

        return deletion

    def _execution(
        self,
        execute: Callable[..., Any],
        run: Callable[[bool], None],
        look: Callable[[], None],
    ) -> Callable[..., Any]:
        @wraps(execute)
        def execution(executor_plugin: Any, executor_settings: Any, **options: Any) -> Any:
            kind = executor_plugin.common_settings
            if kind.dryrun_exec or self._only_reads():
                look()
            else:
                guard.hold(self._lock)
                self.runs = True
                run(kind.touch_exec)
                if executor_plugin.name == "slurm":
                    slurm_cures.apply()
                if hasattr(executor_settings, "jobname_prefix"):
                    given = executor_settings.jobname_prefix
                    name = job_name(self._lock.parent)
                    executor_settings.jobname_prefix = f"{given}_{name}" if given else name
            return execute(
                executor_plugin=executor_plugin, executor_settings=executor_settings, **options
            )

        return execution

    def _only_reads(self) -> bool:
        """Whether all that is asked for are read-only targets; these options ask for more jobs."""
        asked, scheduling = self._workflow.dag_settings, self._workflow.scheduling_settings
        targets = {
            *asked.targets,
            *asked.forcerun,
            *asked.until,
            *scheduling.prioritytargets,
        }
        return bool(asked.targets) and targets <= set(READ_ONLY_TARGETS)
