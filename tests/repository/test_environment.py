"""The environment: two locks with digests, direct dependencies that are used, their licences."""

import ast
import importlib.util
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
NOT_IMPORTED = {
    "pygments": "of snakemake --report",
    "pylibjpeg": "plug-in of pydicom",
    "pylibjpeg-openjpeg": "plug-in of pydicom",
    "pylibjpeg-rle": "plug-in of pydicom",
    "python-gdcm": "plug-in of pydicom",
    "scikit-learn": "what probes, metrics and intervals are held against, in tests and benchmarks",
    "torchvision": "of open-clip-torch, and goes with one version of torch",
}
"""Direct run-time dependencies that no module imports, and why they are there."""

OWN = {
    *("benchmarks", "radscale_lib", "scripts", "tests", "workflow"),
    "snakemake_logger_plugin_radscale",
}

spec = importlib.util.spec_from_file_location("lock", "workflow/envs/lock.py")
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)

RUNS, TESTS = lock.read(lock.LOCK), lock.read(lock.TESTS_LOCK)
PINS = lock.pins_of(RUNS) + lock.pins_of(TESTS)


def direct(*groups):
    """Requirements of pyproject.toml by canonical name."""
    found = [Requirement(text) for group in groups for text in group]
    return {lock.canonical(requirement.name): requirement for requirement in found}


RUNTIME = direct(PROJECT["dependencies"])
ALL = direct(PROJECT["dependencies"], PROJECT["optional-dependencies"]["dev"])


def version_of(name):
    return RUNS[name].split()[0].partition("==")[2]


def imported(*folders):
    """Top-level modules that files below some folders import, neighbours of a file excepted."""
    roots = set()
    for folder in folders:
        for path in Path(folder).rglob("*.py"):
            found = set()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found.add(node.module.partition(".")[0])
            roots |= {root for root in found if not path.with_name(f"{root}.py").exists()}
        for path in Path(folder).rglob("*.smk"):
            roots |= set(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    return roots


def distributions(modules):
    """Canonical names of the distributions that top-level modules come from.

    A module that nothing here provides counts as a distribution of its name.
    """
    providers = packages_distributions()
    return {
        lock.canonical(name)
        for module in modules - set(sys.stdlib_module_names) - OWN
        for name in providers.get(module, [module])
    }


@pytest.mark.parametrize("of", [lock.LOCK, lock.TESTS_LOCK], ids=["runs", "tests"])
def test_a_lock_has_exact_versions_with_digests_and_nothing_else(of):
    entry = r"([a-z0-9-]+)==[\w.+!]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+"
    text = re.sub(r"\A(#.*\n)+", "", of.read_text())
    assert re.sub(entry, "", text) == ""
    assert list(lock.read(of)) == sorted(lock.read(of)) == [m[1] for m in re.finditer(entry, text)]


def test_what_only_tests_need_is_not_where_studies_run():
    assert RUNS.keys() & TESTS.keys() == set()
    assert {"moto", "flask", "boto3", "simpleitk", "pytest"} <= TESTS.keys()
    assert set(RUNTIME) | {"hatchling"} <= RUNS.keys()


def test_a_machine_without_a_gpu_has_the_same_but_cuda():
    left, builds = lock.for_cpu(RUNS)
    out = RUNS.keys() - left.keys()
    assert {"torch", "torchvision", "triton", "nvidia-cudnn-cu13", "cuda-toolkit"} <= out
    assert all(re.match("cuda|nvidia|torch|triton", name) for name in out)
    assert builds == [f"{name}=={version_of(name)}+cpu" for name in ("torch", "torchvision")]


def test_this_environment_is_the_lock():
    different = {}
    on_cpu = version("torch").endswith("+cpu")
    runs, builds = lock.for_cpu(RUNS) if on_cpu else (RUNS, [])
    for pin in [*lock.pins_of(runs), *builds, *lock.pins_of(TESTS)]:
        name, expected = pin.split("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            found = None
        if found != expected:
            different[name] = (expected, found)
    assert different == {}


def test_direct_dependencies_are_locked_within_their_bounds():
    locked = dict(pin.split("==") for pin in PINS)
    outside = {
        name: locked.get(name)
        for name, requirement in ALL.items()
        if name not in locked or not requirement.specifier.contains(locked[name])
    }
    assert outside == {}


def test_the_conda_file_has_the_pins_of_the_lock():
    text = lock.CONDA.read_text()
    assert text == lock.conda_file(lock.pins_of(RUNS))
    pip = yaml.safe_load(text)["dependencies"][-1]["pip"]
    assert {lock.canonical(pin) for pin in pip} == set(RUNTIME)


def test_what_is_imported_is_a_direct_dependency():
    groups = PROJECT["optional-dependencies"]
    optional = set(direct(*(groups[name] for name in groups if name != "dev")))
    used = distributions(imported("radscale_lib", "scripts", "workflow"))
    assert used - set(RUNTIME) - optional == set()
    # Of benchmarks, installed by who runs them; and the package of tests/kinds.
    peers = {"negspacy", "pandas", "radgraph", "spacy", "radscale-dummy", "radscale_dummy"}
    assert (
        distributions(imported("tests", "benchmarks")) - set(ALL) - {"packaging"} - peers == set()
    )


def test_direct_dependencies_are_imported_or_have_a_reason():
    used = distributions(imported("radscale_lib", "scripts", "workflow"))
    assert set(RUNTIME) - used == set(NOT_IMPORTED)


@pytest.mark.parametrize("name", ALL)
def test_no_direct_dependency_has_a_copyleft_licence(name):
    about = metadata(name)
    stated = [
        about.get("License-Expression") or "",
        (about.get("License") or "")[:200],
        *(text for text in about.get_all("Classifier") or [] if text.startswith("License")),
    ]
    assert not re.search(r"GPL|General Public", " ".join(stated))


def test_the_table_of_dependencies_is_complete():
    rows = re.findall(
        r"^\| ([a-z0-9-]+) \|", Path("docs/reference/dependencies.md").read_text(), re.MULTILINE
    )
    assert sorted(set(rows) - {"package"}) == sorted(ALL)
    assert len(rows) == len(set(rows))
