"""A copy of the checkout, in which tests run snakemake and edit code and settings."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from radscale_lib.study import load_study
from tests.workflow import forked
from workflow.dry_run import ASKED
from workflow.journal import NAME
from workflow.plan import as_json, read_jobs
from workflow.site import Site

ROOT = Path(__file__).parents[2]
SMOKE, TINY = "config/smoke.yaml", "tests/workflow/tiny.yaml"
PATIENCE = 300
"""Seconds until what a test waits for has surely happened, on a machine busy with other work."""


@dataclass
class Checkout:
    """A copy of the repository that snakemake runs a study in, by default the smoke study."""

    folder: Path
    study_path: str = field(default=SMOKE, kw_only=True)

    @property
    def results(self) -> Path:
        return self.folder / "results" / Path(self.study_path).stem

    @property
    def study_file(self) -> Path:
        return self.folder / self.study_path

    def copy(self, folder: Path) -> "Checkout":
        """A copy of the checkout with its results; files keep their times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder, study_path=self.study_path)

    def environment(self) -> dict[str, str]:
        """The copy's code before the installed package's."""
        paths = [str(self.folder), str(self.folder / "workflow" / "logger")]
        bin_folder = str(Path(sys.executable).parent)
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "PATH": os.pathsep.join([bin_folder, os.environ["PATH"]]),
        }

    def command(self, *options: str, cores: int = 2) -> list[str]:
        return [
            *(forked.python(), "-m", "snakemake", "--cores", str(cores)),
            *("--configfile", self.study_path, *options),
        ]

    def snakemake(self, *options: str, cores: int = 2) -> str:
        """Run snakemake to the end; its output, or a failed test that shows it."""
        ended = self._ended(self.command(*options, cores=cores))
        return ended.stdout + ended.stderr

    def radscale(self, *options: str) -> str:
        """Run the command `radscale` to the end; what it prints, or a failed test."""
        return self._ended([forked.python(), "-m", "radscale_lib.cli", *options]).stdout

    def _ended(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command in the checkout to its end, which must be a good one."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
        return ended

    @contextmanager
    def running(self, *options: str, cores: int = 2) -> Iterator["Running"]:
        """Start snakemake; within the block it can be watched and killed, after it it is ended."""
        log = self.folder / f"snakemake-{time.monotonic_ns()}.log"
        began = time.time()
        alive, held = os.pipe()
        with log.open("w") as stream:
            process = subprocess.Popen(
                self.command(*options, cores=cores),
                cwd=self.folder,
                env=self.environment(),
                stdin=held,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        os.close(held)
        with os.fdopen(alive, "rb") as ends:
            running = Running(self, process, log, began, ends)
            try:
                yield running
            finally:
                running.kill()

    def plan(self, *options: str, study: str = "") -> list[dict[str, Any]]:
        """The jobs that would run, asked of Snakemake as `scripts/plan.py` asks."""
        study = study or self.study_path
        with tempfile.TemporaryDirectory() as folder, chdir(self.folder):
            listed = Path(folder, "jobs.json")
            ended = forked.snakemake(
                self.folder,
                self.environment() | {ASKED: str(listed)},
                *("--dry-run", "--cores", "1", "--nolock", *options),
                *("--configfile", study, "--logger", "radscale"),
            )
            assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
            of = load_study(Path(study))
            jobs = read_jobs(of, json.loads(listed.read_text()))
            planned: list[dict[str, Any]] = as_json(of, jobs, Site())["jobs"]
            return planned

    def told(self, script: str, *options: str, study: str = "") -> dict[str, Any]:
        """The JSON output of `plan.py` or `status.py`, for another study if given."""
        study = study or self.study_path
        ended = subprocess.run(
            [
                *(forked.python(), f"scripts/{script}", "--study", study, "--json"),
                *("--", *options, "--configfile", study),
            ],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
        said: dict[str, Any] = json.loads(ended.stdout)
        return said

    @contextmanager
    def appended(self, name: str, text: str) -> Iterator[None]:
        """Add text to the end of a file within the block."""
        path = self.folder / name
        before = path.read_text()
        path.write_text(before + text)
        try:
            yield
        finally:
            path.write_text(before)

    @contextmanager
    def study(self, **changes: Any) -> Iterator[None]:
        """Change values of the study file within the block, by dotted key (`__` for the dots)."""
        before = self.study_file.read_text()
        # Through JSON, so that sections which share an anchor can change apart.
        values = json.loads(json.dumps(yaml.safe_load(before)))
        for key, value in changes.items():
            section = values
            *parents, last = key.split("__")
            for parent in parents:
                section = section.setdefault(parent.replace("_of_", "-"), {})
            section[last] = value
        self.study_file.write_text(yaml.safe_dump(values, sort_keys=False))
        try:
            yield
        finally:
            self.study_file.write_text(before)


@dataclass
class Running:
    """A snakemake that runs, followed by its journal: no test need guess how far it is."""

    checkout: Checkout
    process: subprocess.Popen[bytes]
    log: Path
    began: float
    ends: BinaryIO
    """At its end when no process is left."""
    read: tuple[tuple[int, int], list[dict[str, Any]]] = ((0, 0), [])
    """Size and time of the journal when it was last read, and its entries of this call."""

    def entries(self) -> list[dict[str, Any]]:
        """The journal of this call."""
        path = self.checkout.results / NAME
        with suppress(FileNotFoundError):
            state = path.stat()
            if (now := (state.st_size, state.st_mtime_ns)) != self.read[0]:
                lines = path.read_bytes().splitlines(keepends=True)
                entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
                self.read = now, [entry for entry in entries if entry["time"] >= self.began]
        return self.read[1]

    def events(self, event: str, rule: str, **wildcards: str) -> int:
        """How many jobs of a rule have had an event in this call: `start`, `done` or `failed`."""
        entries = self.entries()
        jobs = {
            entry["job"]
            for entry in entries
            if entry["event"] == "start"
            and entry["rule"] == rule
            and wildcards.items() <= entry["wildcards"].items()
        }
        return sum(entry["event"] == event and entry["job"] in jobs for entry in entries)

    def wait_for(self, event: str, rule: str, number: int = 1, **wildcards: str) -> None:
        """Wait until this many jobs of a rule, of these wildcards, have had an event."""
        what = f"{event} of {number} {rule} {wildcards or ''}"
        self.wait_until(lambda: self.events(event, rule, **wildcards) >= number, what)

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Look a hundred times a second until something holds, while snakemake runs."""
        end = time.monotonic() + PATIENCE
        while not holds():
            over = self.process.poll() is not None and not holds()
            assert not over, f"snakemake ended before {what}:\n{self.output()}"
            assert time.monotonic() < end, f"no {what} in {PATIENCE} s:\n{self.output()}"
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL to snakemake, and right after it to its jobs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.ends.read()

    def finish(self, code: int = 0) -> str:
        """Wait for the end; what was said, or a failed test for another exit code."""
        self.process.wait(PATIENCE * 4)
        assert self.process.returncode == code, self.output()
        return self.log.read_text()

    def output(self) -> str:
        """The end of what was said."""
        return self.log.read_text()[-6000:]


def copy_checkout(folder: Path, study: str = SMOKE) -> Checkout:
    """Copy what git tracks, as a fresh checkout has it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return Checkout(folder, study_path=study)
