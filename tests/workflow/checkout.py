"""A copy of the checkout, in which tests run snakemake and edit code and settings."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


@dataclass
class Checkout:
    """A copy of the repository that snakemake runs in."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results" / "smoke"

    @property
    def study_file(self) -> Path:
        return self.folder / "config" / "smoke.yaml"

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
            *(sys.executable, "-m", "snakemake", "--cores", str(cores)),
            *("--configfile", "config/smoke.yaml", *options),
        ]

    def snakemake(self, *options: str, cores: int = 2) -> str:
        """Run snakemake to the end; its output, or a failed test that shows it."""
        ended = subprocess.run(
            self.command(*options, cores=cores),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
        return ended.stdout + ended.stderr

    def plan(self, *options: str, study: str = "config/smoke.yaml") -> list[dict[str, Any]]:
        """The jobs that would run, by `scripts/plan.py`."""
        jobs: list[dict[str, Any]] = self.told("plan.py", *options, study=study)["jobs"]
        return jobs

    def told(self, script: str, *options: str, study: str = "config/smoke.yaml") -> dict[str, Any]:
        """What `plan.py` or `status.py` of the scripts says in JSON."""
        ended = subprocess.run(
            [
                *(sys.executable, f"scripts/{script}", "--study", study, "--json"),
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


def copy_checkout(folder: Path) -> Checkout:
    """Copy what git tracks, as a fresh checkout has it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return Checkout(folder)
