"""Settings of all tests: one thread each, property tests that are the same in every run.

And finished studies for the tests of the workflow and of the cluster, each run once: the smoke
study, one that is tiny, for tests that run it again, and one with test archives (second tier).
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"

import pytest
from hypothesis import settings

from tests.workflow.checkout import SMOKE, TINY, Checkout, copy_checkout
from tests.workflow.collection import ELSEWHERE, prepare_elsewhere

settings.register_profile("radscale", deadline=None, derandomize=True)
settings.load_profile("radscale")


SECOND_TIER = ("cluster", "cluster_faults", "long")
"""Marks of tests that run only where -m names them: see CONTRIBUTING.md."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the second tier out, and begin with whole studies: what is long must not come last."""
    out = {mark for mark in SECOND_TIER if mark not in config.option.markexpr}
    left = [item for item in items if out & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]
    studies = {"finished", "finished_elsewhere", "finished_tiny", "tiny"}
    items.sort(
        key=lambda item: (
            not studies & set(getattr(item, "fixturenames", ())),
            item.get_closest_marker("slow") is None,
        )
    )


def run_once(
    study: str,
    factory: pytest.TempPathFactory,
    worker_id: str,
    prepare: Callable[[Checkout], None] = lambda checkout: None,
) -> Checkout:
    """A study, run with two cores in a copy of the checkout by the first worker that needs it."""
    base = factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    name = Path(study).stem
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / name).exists():
            checkout = copy_checkout(factory.mktemp(name), study)
            prepare(checkout)
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


@pytest.fixture(scope="session")
def finished_elsewhere(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """The smoke study with two test archives, finished: all workers share it."""
    return run_once(ELSEWHERE, tmp_path_factory, worker_id, prepare_elsewhere)


@pytest.fixture
def tiny(finished_tiny: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished tiny study, for one test to do with as it likes."""
    return finished_tiny.copy(tmp_path / "checkout")
