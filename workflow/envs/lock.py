"""Write requirements.lock and the conda file from what pyproject.toml resolves to today.

Run by `make lock`. The lock holds every package; the conda file pins the direct dependencies to
the same versions.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
CONDA = ROOT / "workflow/envs/radscale.yaml"


def canonical(requirement: str) -> str:
    """Normalised name of a requirement or pin (PEP 503)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def resolve() -> list[str]:
    """`name==version` of all packages that a clean environment gets, sorted by name."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = f"{folder}/bin/pip"
        subprocess.run([pip, "install", "--quiet", f"{ROOT}[dev]"], check=True)
        freeze = [pip, "freeze", "--all"]  # with setuptools, which torch needs
        frozen = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    pins = {canonical(line): line.split("==")[1] for line in frozen.splitlines() if "==" in line}
    return [f"{name}=={pins[name]}" for name in sorted(pins) if name != "pip"]


def direct_dependencies() -> list[str]:
    """Names of the run-time dependencies of pyproject.toml, sorted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return sorted(canonical(requirement) for requirement in project["dependencies"])


def conda_file(pins: list[str]) -> str:
    """The conda environment of a machine that has conda and no Python 3.11."""
    version = {canonical(pin): pin for pin in pins}
    lines = [f"      - {version[name]}" for name in direct_dependencies()]
    return (
        "# Written by `make lock`: the direct dependencies at the versions of requirements.lock.\n"
        "name: radscale\n"
        "channels: [conda-forge, nodefaults]\n"
        "dependencies:\n"
        "  - python=3.11\n"
        "  - pip\n"
        "  - pip:\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    """Resolve, and write both files."""
    pins = resolve()
    LOCK.write_text("# Written by `make lock`. Linux, Python 3.11.\n" + "\n".join(pins) + "\n")
    CONDA.write_text(conda_file(pins))


if __name__ == "__main__":
    main()
