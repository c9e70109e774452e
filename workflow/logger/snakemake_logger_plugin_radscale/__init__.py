"""Snakemake logger: a line for each start and end of a job, with progress and time left.

In a dry run for `scripts/plan.py` and similar scripts, only errors are printed.
"""

import logging
import os
import re
import sys
import time
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from radscale_lib.places import workflow_folder
from radscale_lib.planning.disk import write_problem
from radscale_lib.texts import plain

sys.path.insert(0, str(workflow_folder()))  # Snakemake starts its logger before the Snakefile

from workflow import configuration
from workflow.dry_run import ASKED
from workflow.progress import Progress, duration, expected_seconds, following, journals

_SLURM_NAME = "SLURM run ID: "
_COLOURED = re.compile(r"((?:\x1b\[[\d;]*m)*)(.*?)((?:\x1b\[[\d;]*m)*\n?)", re.DOTALL)
"""A record as formatted by Snakemake: its colour, its text, and the end of the colour."""
_SLURM_STATE = re.compile(r"SLURM status is: '(\w+)'")


class LogHandler(LogHandlerBase):
    """Formats job events as progress, and everything else as Snakemake does."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.progress = Progress(expected_seconds, following)
        self.quiet = ASKED in os.environ and self.common_settings.dryrun
        self.slurm = ""

    def emit(self, record: LogRecord) -> None:
        """Print one record."""
        event = getattr(record, "event", None)
        values = vars(record)
        if event is None and record.getMessage().startswith(_SLURM_NAME):
            self.slurm = record.getMessage().removeprefix(_SLURM_NAME)
        if event is None and record.levelno < logging.WARNING and _is_chatter(record):
            return
        if configuration.REFUSED in record.getMessage():
            self._say(configuration.refused_files(sys.argv[1:]))
        if self.quiet:
            if event == LogEvent.ERROR or record.levelname in ("ERROR", "CRITICAL"):
                self._say(self.format(record))
            return
        if event in (LogEvent.SHELLCMD, LogEvent.DEBUG_DAG) and not (
            self.common_settings.printshellcmds or self.common_settings.debug_dag
        ):
            return
        if self.common_settings.dryrun:
            self._say(self.format(record))
            return
        now = time.monotonic()
        if event == LogEvent.RUN_INFO:
            counts = {name: n for name, n in values["stats"].items() if isinstance(n, int)}
            counts.pop("total", None)
            self.progress.total.update(counts)
        elif event == LogEvent.JOB_INFO:
            label = _label(values)
            self.progress.start(values["jobid"], values["rule_name"], label, now)
            self._journal_start(values)
            self._say(f"{_clock()} start  {label}")
            return
        elif event == LogEvent.JOB_FINISHED:
            self._journal("done", job=values["job_id"])
            ended = self.progress.finish(values["job_id"], now)
            if ended:
                self._say(
                    f"{_clock()} done   {ended[0]} in {duration(ended[1])}"
                    f"   [{self.progress.line(now)}]"
                )
            return
        elif event == LogEvent.JOB_ERROR:
            self.progress.fail(values["jobid"])
            state = _SLURM_STATE.search(values.get("rule_msg") or "")
            self._journal("failed", job=values["jobid"], slurm=state[1] if state else "")
            # On a full disk a job's log is empty.
            folders = {Path(name).parent for name in values["log"]}
            for folder in sorted(folder for folder in folders if folder.is_dir()):
                self._say(write_problem(folder))
        elif event in (LogEvent.PROGRESS, LogEvent.JOB_STARTED, LogEvent.RESOURCES_INFO):
            return
        self._say(self.format(record))

    def _journal_start(self, values: dict[str, Any]) -> None:
        if self.slurm:
            self._journal("slurm", name=self.slurm)
            self.slurm = ""
        self._journal(
            "start",
            job=values["jobid"],
            rule=values["rule_name"],
            wildcards=dict(values["wildcards"] or {}),
            log=next(map(str, values["log"]), ""),
        )

    def _journal(self, event: str, **values: Any) -> None:
        for journal in journals:
            try:
                journal.note(event, **values)
            except OSError as error:  # the study continues; status and recovery will miss this job
                self._say(f"{journal.path}: {error.strerror}")

    def _say(self, text: str) -> None:
        if text and text != "None":
            colour, said, end = _COLOURED.fullmatch(text).groups(default="")  # type: ignore[union-attr]
            print(f"{colour}{plain(said)}{end}", file=sys.stderr, flush=True)


def _label(values: dict[str, Any]) -> str:
    wildcards = values["wildcards"] or {}
    return " ".join([values["rule_name"], *map(str, wildcards.values())])


def _is_chatter(record: LogRecord) -> bool:
    return record.levelno < logging.INFO or record.getMessage().startswith("Select jobs")


def _clock() -> str:
    return time.strftime("%H:%M:%S")
