"""Write the locks, and the conda file, from what pyproject.toml resolves to.

`make lock` keeps the locked versions where pyproject.toml allows them; `make lock UPGRADE=1` takes
the newest. `requirements.lock` has the packages needed to run and build this one,
`tests/requirements.lock` those that tests and checks need in addition; both list the digests of all
files of each release. The conda file pins the direct dependencies to the same versions.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
TESTS_LOCK = ROOT / "tests/requirements.lock"
CONDA = ROOT / "workflow/envs/radscale.yaml"
HEADER = "# Written by `make lock`. Linux, Python 3.11.\n"
CPU_APART = re.compile(r"(cuda|nvidia)-|(torch|torchvision|triton)$")
"""Packages that a machine without a GPU does not need, or needs in another build."""

Lock = dict[str, str]
"""Each package's lines in a lock, by name."""


def canonical(requirement: str) -> str:
    """Normalised name of a requirement or pin (PEP 503)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def read(lock: Path) -> Lock:
    """The packages of a lock."""
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    entries = re.findall(r"^\S.*\n(?: .*\n)*", text, flags=re.MULTILINE)
    return {canonical(entry): entry for entry in entries}


def pins_of(lock: Lock) -> list[str]:
    """`name==version` of all packages of a lock."""
    return [entry.split()[0] for entry in lock.values()]


def resolve(uv: str, folder: Path, upgrade: bool) -> tuple[Lock, Lock]:
    """Resolve the packages needed to run, and those that tests need in addition."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = folder / "build.in"  # torch imports setuptools
    build.write_text("\n".join([*project["build-system"]["requires"], "setuptools"]))
    runs, both = folder / "runs.lock", folder / "both.lock"
    if not upgrade:  # the versions in the output file are preferred
        both.write_text("".join(path.read_text() for path in (LOCK, TESTS_LOCK) if path.exists()))
    compile_ = [
        *(uv, "pip", "compile", str(ROOT / "pyproject.toml"), str(build), "--generate-hashes"),
        *("--no-header", "--no-annotate", "--quiet", "--python-version", "3.11"),
        *("--python-platform", "x86_64-manylinux_2_28"),
    ]
    for out, more in ((both, ["--extra", "dev"]), (runs, ["--constraint", str(both)])):
        subprocess.run([*compile_, *more, "--output-file", str(out)], check=True)
    run = read(runs)
    return run, {name: entry for name, entry in read(both).items() if name not in run}


def direct_dependencies() -> list[str]:
    """Names of the run-time dependencies of pyproject.toml, sorted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return sorted(canonical(requirement) for requirement in project["dependencies"])


def conda_file(pins: list[str]) -> str:
    """The conda environment for a machine with conda but without Python 3.11."""
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


def for_cpu(lock: Lock) -> tuple[Lock, list[str]]:
    """A lock without CUDA packages, and the CPU builds that replace the others left out."""
    left = {name: entry for name, entry in lock.items() if not CPU_APART.match(name)}
    builds = [f"{pin}+cpu" for pin in pins_of(lock) if pin.startswith(("torch==", "torchvision=="))]
    return left, builds


def main() -> None:
    """Resolve and write, or print what a machine without a GPU installs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--for-cpu", action="store_true", help="print the lock without CUDA")
    parser.add_argument("--cpu-builds", action="store_true", help="print what replaces it")
    args = parser.parse_args()
    if args.for_cpu or args.cpu_builds:
        lock, builds = for_cpu(read(LOCK))
        print("\n".join(builds) if args.cpu_builds else "".join(lock.values()))
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([f"{folder}/bin/pip", "install", "--quiet", "uv"], check=True)
        runs, tests = resolve(f"{folder}/bin/uv", Path(folder), args.upgrade)
    LOCK.write_text(HEADER + "".join(runs.values()))
    TESTS_LOCK.write_text(HEADER + "# Beside ../requirements.lock.\n" + "".join(tests.values()))
    CONDA.write_text(conda_file(pins_of(runs)))


if __name__ == "__main__":
    main()
