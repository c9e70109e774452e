"""Find out whether a call of snakemake only reads, or changes something under the study's lock.

Snakemake reads the Snakefile in the same way for every call. The method of its workflow that it
calls next shows what the call does: the few that change something are named here, and all others
(`--summary`, `--lint`, `--dag`, `--report`, …) only read.
"""

import json
from collections.abc import Callable
from functools import wraps
from os import environ
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from workflow import guard, slurm_patches
from workflow.dag import listed
from workflow.dry_run import ASKED
from workflow.journal import job_name

READ_ONLY_TARGETS = ("plan", "status", "check", "verify")
"""Read-only targets: they take no lock, and are safe while another process runs the study."""

REPORTS = ("plan", "status")
"""Targets that report what a run would do, which this process answers itself from the run's DAG.
Further targets and options select the run; nothing is run."""

FREES = ("slim", "slim_shards")
"""Targets that free disk space, using the DAG of a run; a dry run lists what they would free."""

TRIES = 3
"""Attempts at reading a study that another process runs."""

CHANGES = (
    "cleanup_metadata",
    "cleanup_shadow",
    "conda_cleanup_envs",
    "conda_create_envs",
    "container_cleanup_images",
    "unlock",
)
"""Methods of Snakemake's workflow that change something, besides running jobs and deleting."""


class Call:
    """This call of snakemake."""

    def __init__(self, workflow: Any, lock: Path) -> None:
        """Prepare to detect what Snakemake does next.

        Args:
            workflow: Snakemake's, of the main process.
            lock: the study's lock file.
        """
        self._workflow = workflow
        self._lock = lock
        self.runs = False
        """Whether this call runs jobs (or marks them as run) and holds the study's lock."""

    def on(
        self,
        *,
        run: Callable[[bool], None],
        look: Callable[[], None],
        report: Callable[[str, Any], None],
        free: Callable[[str, Any, bool], None],
    ) -> None:
        """Set what to do once it is known what this call does, before the DAG is built.

        Args:
            run: called under the lock if jobs are to run, with whether they are only touched.
            look: called if the call only reads the jobs, as a dry run and `plan` do.
            report: called for each requested one of `REPORTS`, with its name and the DAG of the
                jobs that a run would have.
            free: called likewise for each of `FREES`, under the lock unless it is a dry run, and
                with whether it is one.
        """
        for name in CHANGES:
            setattr(self._workflow, name, self._locked(getattr(self._workflow, name)))
        self._workflow.delete_output = self._deletion(self._workflow.delete_output)
        self._workflow.execute = self._execution(self._workflow.execute, run, look, report, free)

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
        report: Callable[[str, Any], None],
        free: Callable[[str, Any, bool], None],
    ) -> Callable[..., Any]:
        @wraps(execute)
        def execution(executor_plugin: Any, executor_settings: Any, **options: Any) -> Any:
            kind = executor_plugin.common_settings
            targets = set(self._workflow.dag_settings.targets)
            if kind.dryrun_exec and ASKED in environ:
                look()
                Path(environ[ASKED]).write_text(json.dumps(listed(self._dag(targets))))
                return None
            if not targets.isdisjoint(FREES):
                if more := sorted(targets - set(FREES)):
                    raise WorkflowError(f"{', '.join(more)}: request it in a separate call")
                if not kind.dryrun_exec:
                    guard.hold(self._lock)
                look()
                for name in filter(targets.__contains__, FREES):
                    free(name, self._dag(set()), bool(kind.dryrun_exec))
                return None
            if not targets.isdisjoint(REPORTS):
                if more := sorted(targets - set(REPORTS) & set(READ_ONLY_TARGETS)):
                    raise WorkflowError(f"{', '.join(more)}: request it in a separate call")
                look()
                dag = self._dag(targets - set(REPORTS))
                for name in filter(targets.__contains__, REPORTS):
                    report(name, dag)
                return None
            if kind.dryrun_exec or self._only_reads():
                look()
            else:
                guard.hold(self._lock)
                self.runs = True
                run(kind.touch_exec)
                if executor_plugin.name == "slurm":
                    slurm_patches.apply()
                if hasattr(executor_settings, "jobname_prefix"):
                    given = executor_settings.jobname_prefix
                    name = job_name(self._lock.parent)
                    executor_settings.jobname_prefix = f"{given}_{name}" if given else name
            return execute(
                executor_plugin=executor_plugin, executor_settings=executor_settings, **options
            )

        return execution

    def _dag(self, targets: set[str]) -> Any:
        """Build the DAG of a run with these targets, without running anything."""
        workflow = self._workflow
        workflow.dag_settings.targets = targets
        workflow.resource_settings.max_threads = 1  # costs are those of one core
        for tries_left in reversed(range(TRIES)):
            try:  # as in all of Snakemake's own options that show jobs
                workflow._prepare_dag(
                    forceall=workflow.dag_settings.forceall,
                    ignore_incomplete=True,
                    lock_warn_only=True,
                )
                workflow._build_dag()
                return workflow.dag
            except Exception:
                # Snakemake gives up if a concurrent run removes a file that it has just seen.
                if not tries_left or not guard.holder(self._lock):
                    raise

    def _only_reads(self) -> bool:
        """Whether only read-only targets are requested; some options request more jobs."""
        asked, scheduling = self._workflow.dag_settings, self._workflow.scheduling_settings
        targets = {
            *asked.targets,
            *asked.forcerun,
            *asked.until,
            *scheduling.prioritytargets,
        }
        return bool(asked.targets) and targets <= set(READ_ONLY_TARGETS)
