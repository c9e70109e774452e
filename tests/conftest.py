"""Settings of all tests: one thread each, property tests that are the same in every run.

And a finished smoke study, run once, for the tests of the workflow and of the cluster.
"""

import fcntl
import os
import shutil

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"

import pytest
from hypothesis import settings

from tests.workflow.checkout import Checkout, copy_checkout

settings.register_profile("radscale", deadline=None, derandomize=True)
settings.load_profile("radscale")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """The smoke study, run with two cores in a copy of the checkout: once, then a copy a worker."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with (shared / "smoke.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "smoke").exists():
            checkout = copy_checkout(tmp_path_factory.mktemp("smoke"))
            checkout.snakemake()
            checkout.folder.rename(shared / "smoke")
    folder = tmp_path_factory.mktemp("finished") / "checkout"
    shutil.copytree(shared / "smoke", folder, symlinks=True)
    return Checkout(folder)
