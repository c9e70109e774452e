"""A study on the test cluster: the head process, faults of its jobs, its results."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml

from tests.slurm.cluster import Cluster, wait_until
from tests.workflow.checkout import Checkout

SITE = {"partition": "cpu", "devices_per_node": 2, "walltime_minutes": 30, "warning_seconds": 30}
POLL_SECONDS = 6
"""A little above one job's time; 40 is right for a cluster."""
PATIENCE = 600
"""Seconds until a job has surely started, on a machine busy with other work."""

# Runs in every Python process of a job, before its script.
FAULTS = '''\
"""Faults of chosen scripts, for tests: FAULTS is JSON, script -> what goes wrong."""
import json, os, sys, time
from pathlib import Path

script = next((Path(a).name for a in sys.orig_argv[1:] if a.endswith(".py")), "")
fault = json.loads(os.environ.get("FAULTS", "{}")).get(script, {})
if any(text not in " ".join(sys.orig_argv) for text in fault.get("where", [])):
    fault = {}
if fault:
    with Path(fault["tries"]).open("a") as file:
        print(os.environ.get("SLURM_JOB_ID", "-"), file=file)
    number = len(Path(fault["tries"]).read_text().splitlines())
    if number <= fault.get("times", 1):
        time.sleep(fault.get("sleep", 0))
        if "megabytes" in fault:
            held = bytearray(os.urandom(2**20) * fault["megabytes"])
            time.sleep(8)
        if "exit" in fault:
            sys.exit(fault["exit"])
        if "step_seconds" in fault:
            from radscale_lib.pretrain import trainer
            step = trainer.Trainer._step
            def slow(self, batch):
                time.sleep(fault["step_seconds"])
                return step(self, batch)
            trainer.Trainer._step = slow
'''


def tries(seen: Path) -> list[str]:
    """SLURM job of each start of a script so far, by its file of tries."""
    return seen.read_text().split() if seen.exists() else []


@dataclass
class ClusterStudy(Checkout):
    """A checkout whose snakemake submits to a cluster."""

    cluster: Cluster
    scratch: Path
    site: dict[str, object] = field(default_factory=lambda: dict(SITE))
    faults: dict[str, dict[str, object]] = field(default_factory=dict)
    shell: dict[str, str] = field(default_factory=dict)
    """Variables of the user's login shell."""
    heads: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.scratch / "faults").mkdir(exist_ok=True)
        (self.scratch / "faults/sitecustomize.py").write_text(FAULTS)

    def environment(self) -> dict[str, str]:
        site = self.scratch / "site.yaml"
        site.write_text(yaml.safe_dump(self.site))
        values = super().environment()
        cluster = self.cluster.environment
        return values | {
            **self.shell,
            **cluster,
            "PATH": f"{self.cluster.folder / 'bin'}{os.pathsep}{values['PATH']}",
            "PYTHONPATH": f"{self.scratch / 'faults'}{os.pathsep}{values['PYTHONPATH']}",
            "RADSCALE_SITE": str(site),
            "FAULTS": json.dumps(self.faults),
        }

    def command(self, *options: str, cores: int = 2) -> list[str]:
        threads = ("pretrain_base", "pretrain_arm", "evaluate_run")
        return [
            *(sys.executable, "-m", "snakemake", *options, "--configfile", "config/smoke.yaml"),
            *("--workflow-profile", "profiles/slurm", "--latency-wait", "10"),
            *("--slurm-init-seconds-before-status-checks", str(POLL_SECONDS)),
            *("--set-threads", *(f"{rule}=1" for rule in threads)),
        ]

    def fault(self, script: str, *where: str, **what: object) -> Path:
        """Let a script go wrong in its first try (or `times` tries); the file with its tries."""
        tries = self.scratch / f"{script}.tries"
        self.faults[script] = {"tries": str(tries), "where": where, **what}
        return tries

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start a head process."""
        with (self.scratch / f"head-{len(self.heads)}.log").open("w") as log:
            head = subprocess.Popen(
                self.command(*options),
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=log,
                text=True,
            )
        self.heads.append(head)
        return head

    def output(self) -> str:
        """What the last head process has said."""
        return (self.scratch / f"head-{len(self.heads) - 1}.log").read_text()

    def finish(self, *options: str, seconds: float = 1200, code: int = 0) -> str:
        """Run a head process to its end; what it said."""
        return self.end(self.start(*options), seconds, code)

    def end(self, head: subprocess.Popen[str], seconds: float = 1200, code: int = 0) -> str:
        """Wait for a head process to end; what it said."""
        try:
            head.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the head still runs:\n{self.output()[-4000:]}") from None
        assert head.returncode == code, self.output()[-6000:]
        return self.output()

    def job(self, rule: str, state: str = "RUNNING") -> str:
        """Wait for a SLURM job of a rule in a state; its id."""
        return self._await(
            lambda: [job for job, now in self.cluster.active(rule).items() if now == state],
            f"{rule} {state}",
        )

    def first_try(self, seen: Path) -> str:
        """Wait until a script that is to go wrong has started; its SLURM job."""
        return self._await(lambda: tries(seen), f"first try of {seen.stem}")

    def _await(self, found: Callable[[], list[str]], what: str) -> str:
        def alive_and_found() -> bool:
            assert self.heads[-1].poll() is None, self.output()[-6000:]
            return bool(found())

        wait_until(alive_and_found, PATIENCE, what)
        return found()[0]

    def undo(self, *patterns: str) -> None:
        """Delete results, so that their jobs run again."""
        for pattern in patterns:
            found = sorted(self.results.glob(pattern))
            assert found, pattern
            for path in found:
                path.unlink()

    def scores(self) -> pl.DataFrame:
        return pl.read_parquet(self.results / "scores.parquet")

    def stop(self) -> None:
        """End what a failed test left."""
        for head in self.heads:
            if head.poll() is None:
                head.send_signal(signal.SIGKILL)
                head.wait()
        for job in self.cluster.active():
            self.cluster.run("scancel", job, check=False)
        wait_until(lambda: not self.cluster.active(), 60, "end of jobs")
