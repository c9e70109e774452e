"""Settings of all tests: one thread each, property tests that are the same in every run.

And two finished studies for the tests of the workflow and of the cluster, each run once: the smoke
study, and one that is tiny, for tests that run it again.
"""

import fcntl
import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"

import pytest
from hypothesis import settings

from tests.workflow.checkout import SMOKE, TINY, Checkout, copy_checkout

settings.register_profile("radscale", deadline=None, derandomize=True)
settings.load_profile("radscale")


def run_once(study: str, factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """A study, run with two cores in a copy of the checkout by the first worker that needs it."""
    base = factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    name = Path(study).stem
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / name).exists():
            checkout = copy_checkout(factory.mktemp(name), study)
            checkout.snakemake()
            checkout.folder.rename(shared / name)
    return Checkout(shared / name, study_path=study)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """The finished smoke study; a copy a worker, whose code and settings tests change in turn."""
    made = run_once(SMOKE, tmp_path_factory, worker_id)
    return made.copy(tmp_path_factory.mktemp("finished") / "checkout")


@pytest.fixture(scope="session")
def finished_tiny(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """The finished tiny study, to compare with or to copy: all workers share it."""
    return run_once(TINY, tmp_path_factory, worker_id)


@pytest.fixture
def tiny(finished_tiny: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished tiny study, for one test to do with as it likes."""
    return finished_tiny.copy(tmp_path / "checkout")
